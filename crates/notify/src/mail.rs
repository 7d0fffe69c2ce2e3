//! Mail, through a program that is called like sendmail.
//!
//! Source of the form: RFC 5322 (message), RFC 2047 (words in headers), RFC 2045 (body), RFC 3834 (what
//! answers by itself must not answer this).
#![expect(clippy::disallowed_methods, reason = "this room starts sendmail")]

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::Duration;

use camino::Utf8PathBuf;
use data_encoding::BASE64;
use jiff::Timestamp;
use serde::Deserialize;
use snowguard_report::escape::fit;
use snowguard_watch::Message;
use snowguard_watch::child::{Ended, end, wait};
use snowguard_watch::duration::Length;

use crate::{Deliver, DeliverError};

/// Where the program lies on NixOS, and elsewhere.
const PROGRAMS: [&str; 2] = ["/run/wrappers/bin/sendmail", "/usr/sbin/sendmail"];
/// The longest subject, in columns.
const SUBJECT: usize = 160;
/// How long the program may take.
const LIMIT: Length = Length::seconds(5 * 60);
/// How long is waited for the rest of what it said, once it has ended: what it left running may hold
/// the pipe for ever.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// So much of what it says is read, in bytes.
const SAID: u64 = 10_000;

/// Settings: `[notify.mail]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// To whom.
    pub to: Vec<Address>,
    /// From whom; sendmail fills it in where it is not set.
    pub from: Option<Address>,
    /// The program [default: that of NixOS, else `/usr/sbin/sendmail`].
    pub sendmail: Option<Utf8PathBuf>,
}

/// An address that can stand in a header without being able to do anything else there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(String);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.@".contains(&byte);
        // A user of this machine has no `@`.
        let (local, domain) = text.split_once('@').unwrap_or((&text, "local"));
        let sound = !local.is_empty()
            && !domain.is_empty()
            && !domain.contains('@')
            && !text.starts_with('-')
            && text.len() <= 254
            && text.bytes().all(plain);
        if sound {
            Ok(Self(text))
        } else {
            Err(format!("`{}` is no mail address", text.escape_debug()))
        }
    }
}

/// Sends mail.
#[derive(Debug)]
pub struct Mailer {
    settings: Settings,
    limit: Length,
}

impl Mailer {
    /// To those of the settings.
    pub fn new(settings: Settings) -> Result<Self, DeliverError> {
        if settings.to.is_empty() {
            return Err(DeliverError::new(
                "`notify.mail.to` is empty: there is nobody to tell",
            ));
        }
        Ok(Self {
            settings,
            limit: LIMIT,
        })
    }

    /// The mail as it is handed over, with line ends as the system has them.
    fn mail(&self, message: &Message, at: Timestamp) -> String {
        let mut mail = String::new();
        let list: Vec<&str> = self
            .settings
            .to
            .iter()
            .map(|address| address.0.as_str())
            .collect();
        if let Some(from) = &self.settings.from {
            let _ = writeln!(mail, "From: {}", from.0);
        }
        let _ = writeln!(mail, "To: {}", list.join(",\n "));
        let headline = message.headline();
        let _ = writeln!(mail, "Subject: {}", words(&fit(&headline, SUBJECT)));
        let _ = writeln!(mail, "Date: {}", at.strftime("%a, %d %b %Y %H:%M:%S +0000"));
        let _ = writeln!(
            mail,
            "Message-ID: <{}@{}>",
            message.key,
            domain(&message.host)
        );
        mail.push_str("Auto-Submitted: auto-generated\nPrecedence: bulk\nMIME-Version: 1.0\n");
        mail.push_str("Content-Type: text/plain; charset=utf-8\n");
        mail.push_str("Content-Transfer-Encoding: base64\n\n");
        let text = format!(
            "{headline}\n\n{}\n`snowguard status` shows what is open, `snowguard explain` why.\n",
            message.text()
        );
        let body = BASE64.encode(text.replace('\n', "\r\n").as_bytes());
        for line in body.as_bytes().chunks(76) {
            mail.push_str(&String::from_utf8_lossy(line));
            mail.push('\n');
        }
        mail
    }

    fn program(&self) -> Utf8PathBuf {
        match &self.settings.sendmail {
            Some(program) => program.clone(),
            None => PROGRAMS
                .into_iter()
                .map(Utf8PathBuf::from)
                .find(|program| program.exists())
                .unwrap_or_else(|| PROGRAMS[1].into()),
        }
    }
}

impl Deliver for Mailer {
    fn deliver(&mut self, message: &Message, _again: bool) -> Result<(), DeliverError> {
        let program = self.program();
        let cannot = |source| {
            DeliverError::of(format!("cannot send mail through {program}"), source)
                .hint("`notify.mail.sendmail` names the program")
        };
        let mail = self.mail(message, snowguard_watch::service::now());
        let mut running = Command::new(&program)
            // Recipients are those of the headers; a line with a dot ends nothing.
            .args(["-t", "-i"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(cannot)?;
        // On threads of their own: a program may neither read nor end.
        let fed = running
            .stdin
            .take()
            .map(|mut pipe| apart(move || pipe.write_all(mail.as_bytes())));
        let said = running.stderr.take().map(|pipe| {
            apart(move || {
                let mut said = Vec::new();
                let _ = pipe.take(SAID).read_to_end(&mut said);
                said
            })
        });
        let status = match wait(&mut running, self.limit.get(), &AtomicBool::new(false)) {
            Ok(Ended::Itself(status)) => status,
            Ok(Ended::Slow | Ended::Stopped) => {
                end(&mut running);
                let limit = self.limit;
                return Err(DeliverError::new(format!(
                    "{program} took longer than {limit}, and was ended"
                ))
                .hint("see what it waits for: its queue, its lock, or the network"));
            }
            Err(source) => {
                end(&mut running);
                return Err(cannot(source));
            }
        };
        if status.success() {
            // Who has ended without reading all of it has not taken it.
            let unread = || Err(io::ErrorKind::BrokenPipe.into());
            return fed
                .map_or(Ok(()), |fed| {
                    fed.recv_timeout(LAST_WORDS).unwrap_or_else(|_| unread())
                })
                .map_err(cannot);
        }
        let said = said.and_then(|said| said.recv_timeout(LAST_WORDS).ok());
        let said = said.unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().next().unwrap_or_default();
        Err(
            DeliverError::new(format!("{program} took no mail ({status}): {line}")).hint(
                "a sendmail with the set-group-ID bit needs the unit without NoNewPrivileges",
            ),
        )
    }
}

/// Does something on a thread of its own, for whoever does not want to wait for it.
fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result
}

/// A text as words of a header: as it is, or encoded, in lines of at most 75 columns.
fn words(text: &str) -> String {
    // A word that looks encoded would be decoded.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !text.contains("=?")
        && text.len() <= 66
    {
        return text.to_owned();
    }
    let mut out: Vec<String> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = rest.len().min(42);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        out.push(format!(
            "=?utf-8?B?{}?=",
            BASE64.encode(&rest.as_bytes()[..end])
        ));
        rest = &rest[end..];
    }
    out.join("\n ")
}

/// The name of a machine as the right side of an id.
fn domain(host: &str) -> String {
    let name: String = host
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '.')
        .take(200)
        .collect();
    let name = name.trim_matches('.').to_owned();
    if name.is_empty() || name.contains("..") {
        "snowguard.invalid".into()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;
    use crate::notifier::tests::message;

    fn settings(program: Option<Utf8PathBuf>) -> Settings {
        let address = |text: &str| Address::try_from(text.to_owned()).unwrap();
        Settings {
            to: vec![address("root"), address("security@tern.example")],
            from: Some(address("snowguard@tern.example")),
            sendmail: program,
        }
    }

    /// A sendmail of a few lines of shell.
    fn script(root: &Utf8PathBuf, text: &str) -> Utf8PathBuf {
        let program = root.join("sendmail");
        std::fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    #[test]
    fn a_mail() {
        let mailer = Mailer::new(settings(None)).unwrap();
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let mail = mailer.mail(&message(&["1", "2"]), at);
        let (head, body) = mail.split_once("\n\n").unwrap();
        let body = BASE64.decode(body.replace('\n', "").as_bytes()).unwrap();
        let body = String::from_utf8(body).unwrap().replace("\r\n", "\n");
        insta::assert_snapshot!(format!("{head}\n\n{body}"));
    }

    #[test]
    fn what_sendmail_gets_and_says() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        let script = |text: &str| script(&root, text);
        let program = script("");
        let mut mailer = Mailer::new(settings(Some(program))).unwrap();
        script(&format!("echo \"$@\" > {root}/args; cat > {root}/mail"));
        mailer.deliver(&message(&["1"]), false).unwrap();
        assert_eq!(
            std::fs::read_to_string(root.join("args")).unwrap(),
            "-t -i\n"
        );
        assert!(
            std::fs::read_to_string(root.join("mail"))
                .unwrap()
                .starts_with("From: snowguard@")
        );
        script("cat > /dev/null; echo no such user >&2; exit 67");
        let error = mailer.deliver(&message(&["1"]), false).unwrap_err();
        assert!(
            error
                .what
                .ends_with("took no mail (exit status: 67): no such user"),
            "{error}"
        );
        script("exit 0");
        // Who does not read has not taken it.
        let mut big = message(&["1"]);
        big.host = "x".repeat(300_000);
        let _ = mailer.deliver(&big, false);
    }

    #[test]
    fn a_sendmail_that_hangs_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        let program = script(&root, "sleep 1000 & sleep 1000");
        let mut mailer = Mailer::new(settings(Some(program))).unwrap();
        mailer.limit = Length::seconds(0);
        let error = mailer.deliver(&message(&["1"]), false).unwrap_err();
        assert!(
            error.what.ends_with("took longer than 0s, and was ended"),
            "{error}"
        );
    }

    #[test]
    fn what_sendmail_leaves_running_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        // Holds the pipes until somebody writes, which is after the mail was taken.
        let text = format!("cat > /dev/null; mkfifo {root}/end; (read x < {root}/end) & exit 0");
        let program = script(&root, &text);
        let mut mailer = Mailer::new(settings(Some(program.clone()))).unwrap();
        mailer.deliver(&message(&["1"]), false).unwrap();
        let refuses = format!("(read x < {root}/end) & echo full >&2; exit 75");
        script(&root, &format!("cat > /dev/null; {refuses}"));
        let error = mailer.deliver(&message(&["1"]), false).unwrap_err();
        assert!(error.what.contains("took no mail"), "{error}");
        // Opened for both, which waits for nobody.
        let mut both = std::fs::OpenOptions::new();
        let mut end = both.read(true).write(true).open(root.join("end")).unwrap();
        end.write_all(b"x\nx\n").unwrap();
    }

    #[test]
    fn addresses() {
        for wrong in [
            "",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a@b\nBcc: x@y",
            "-oQ/tmp@x",
            "a,b@c",
            "<a@b>",
        ] {
            assert!(Address::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
        assert!(
            Mailer::new(Settings {
                to: vec![],
                ..settings(None)
            })
            .is_err()
        );
    }

    proptest! {
        /// Whatever stands in a message, the headers are these and no others.
        #[test]
        fn nothing_gets_into_the_headers(host in ".*", package in "(?s).{0,40}", id in "(?s).{0,40}") {
            let mut message = message(&["1"]);
            message.host = host;
            message.changes[0].told.package = Some(package);
            message.changes[0].told.advisory = Some(id.clone());
            message.changes[0].told.target = id;
            let mailer = Mailer::new(settings(None)).unwrap();
            let mail = mailer.mail(&message, Timestamp::UNIX_EPOCH);
            prop_assert!(mail.is_ascii() && !mail.contains('\r'));
            let (head, _) = mail.split_once("\n\n").unwrap();
            let names: Vec<&str> = head
                .lines()
                .filter(|line| !line.starts_with(' '))
                .map(|line| line.split_once(": ").unwrap().0)
                .collect();
            prop_assert_eq!(names, [
                "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Precedence",
                "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
            ]);
            prop_assert!(mail.lines().all(|line| line.len() <= 998));
        }
    }
}
