//! Letters, through a program that is called like sendmail.
//!
//! Source of the form: RFC 5322 (message), RFC 2047 (words in headers), RFC 2045 (body), RFC 3834 (what
//! answers by itself must not answer this).
#![expect(clippy::disallowed_methods, reason = "this room starts sendmail")]

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::Duration;

use camino::Utf8PathBuf;
use data_encoding::BASE64;
use jiff::Timestamp;
use serde::Deserialize;
use snowguard_child::{Ended, end, wait};

/// Where the program lies on NixOS, and elsewhere.
const PROGRAMS: [&str; 2] = ["/run/wrappers/bin/sendmail", "/usr/sbin/sendmail"];
/// How long the program may take.
const LIMIT: Duration = Duration::from_mins(5);
/// How long is waited for the rest of what it said, once it has ended: what it left running may hold
/// the pipe for ever.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// So much of what it says is read, in bytes.
const SAID: u64 = 10_000;

/// A letter of plain text.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// From whom; sendmail fills it in where it is not set.
    pub from: Option<&'a MailAddress>,
    /// To whom.
    pub to: &'a [MailAddress],
    /// One line.
    pub subject: &'a str,
    /// What tells it from every other letter of this machine: the same when it is sent again.
    pub id: &'a str,
    /// The name of this machine.
    pub host: &'a str,
    /// When it is written.
    pub at: Timestamp,
    /// More headers, whose values are ours: ASCII without line ends.
    pub headers: &'a [(&'static str, String)],
    /// What it says.
    pub text: &'a str,
}

impl Letter<'_> {
    /// The letter as it is handed over, with line ends as the system has them.
    pub fn to_text(&self) -> String {
        let mut mail = String::new();
        let list: Vec<&str> = self.to.iter().map(MailAddress::as_str).collect();
        if let Some(from) = &self.from {
            let _ = writeln!(mail, "From: {}", from.as_str());
        }
        let _ = writeln!(mail, "To: {}", list.join(",\n "));
        let _ = writeln!(mail, "Subject: {}", words(self.subject));
        let date = self.at.strftime("%a, %d %b %Y %H:%M:%S +0000");
        let _ = writeln!(mail, "Date: {date}");
        let _ = writeln!(
            mail,
            "Message-ID: <{}@{}>",
            local(self.id),
            domain(self.host)
        );
        for (name, value) in self.headers {
            let plain: String = value.chars().filter(|c| (' '..='~').contains(c)).collect();
            let _ = writeln!(mail, "{name}: {plain}");
        }
        mail.push_str("Auto-Submitted: auto-generated\nPrecedence: bulk\nMIME-Version: 1.0\n");
        mail.push_str("Content-Type: text/plain; charset=utf-8\n");
        mail.push_str("Content-Transfer-Encoding: base64\n\n");
        let body = BASE64.encode(self.text.replace('\n', "\r\n").as_bytes());
        for line in body.as_bytes().chunks(76) {
            mail.push_str(&String::from_utf8_lossy(line));
            mail.push('\n');
        }
        mail
    }
}

/// An address that can stand in a header without being able to do anything else there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MailAddress(String);

impl TryFrom<String> for MailAddress {
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

impl MailAddress {
    /// As it stands in a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The program that takes letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sendmail {
    program: Utf8PathBuf,
    limit: Duration,
}

/// Why a letter was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The program cannot be started, or hung up.
    #[error("cannot send mail through {program}")]
    Program {
        /// Which.
        program: Utf8PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It does not end.
    #[error("{program} took longer than {} s, and was ended", limit.as_secs())]
    Slow {
        /// Which.
        program: Utf8PathBuf,
        /// What it had.
        limit: Duration,
    },
    /// It says no.
    #[error("{program} took no mail ({status}): {said}")]
    Refused {
        /// Which.
        program: Utf8PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The first line of what it said.
        said: String,
    },
}

impl MailError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Program { .. } => "the settings name the program",
            Self::Slow { .. } => "see what it waits for: its queue, its lock, or the network",
            Self::Refused { .. } => {
                "a sendmail with the set-group-ID bit needs the unit without NoNewPrivileges"
            }
        }
    }
}

impl Sendmail {
    /// The program; none for that of NixOS, or else `/usr/sbin/sendmail`.
    pub fn new(program: Option<Utf8PathBuf>) -> Self {
        let usual = || {
            let mut there = PROGRAMS.into_iter().map(Utf8PathBuf::from);
            there
                .find(|program| program.exists())
                .unwrap_or_else(|| PROGRAMS[1].into())
        };
        Self {
            program: program.unwrap_or_else(usual),
            limit: LIMIT,
        }
    }

    /// With another time limit.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Hands a letter over, and returns when it was taken.
    pub fn send(&self, letter: &Letter<'_>) -> Result<(), MailError> {
        let cannot = |source| MailError::Program {
            program: self.program.clone(),
            source,
        };
        let mail = letter.to_text();
        let mut running = Command::new(&self.program)
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
        let status = match wait(&mut running, self.limit, &AtomicBool::new(false)) {
            Ok(Ended::Itself(status)) => status,
            Ok(Ended::Slow | Ended::Stopped) => {
                end(&mut running);
                return Err(MailError::Slow {
                    program: self.program.clone(),
                    limit: self.limit,
                });
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
        Err(MailError::Refused {
            program: self.program.clone(),
            status,
            said: line.to_owned(),
        })
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

/// What tells letters apart, as the left side of an id.
fn local(id: &str) -> String {
    id.chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .take(200)
        .collect()
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

    const LETTER: Letter<'static> = Letter {
        from: None,
        to: &[],
        subject: "A subject",
        id: "id",
        host: "tern.example",
        at: Timestamp::UNIX_EPOCH,
        headers: &[],
        text: "A text\n",
    };

    /// A sendmail of a few lines of shell.
    fn script(root: &Utf8PathBuf, text: &str) -> Utf8PathBuf {
        let program = root.join("sendmail");
        std::fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    #[test]
    fn what_sendmail_gets_and_says() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        let script = |text: &str| script(&root, text);
        let program = script("");
        let sendmail = Sendmail::new(Some(program));
        script(&format!("echo \"$@\" > {root}/args; cat > {root}/mail"));
        sendmail.send(&LETTER).unwrap();
        assert_eq!(
            std::fs::read_to_string(root.join("args")).unwrap(),
            "-t -i\n"
        );
        assert!(
            std::fs::read_to_string(root.join("mail"))
                .unwrap()
                .starts_with("To: ")
        );
        script("cat > /dev/null; echo no such user >&2; exit 67");
        let error = sendmail.send(&LETTER).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("took no mail (exit status: 67): no such user"),
            "{error}"
        );
        script("exit 0");
        // Who does not read has not taken it.
        let text = "x".repeat(300_000);
        let big = Letter {
            text: &text,
            ..LETTER
        };
        sendmail.send(&big).unwrap_err();
    }

    #[test]
    fn a_sendmail_that_hangs_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        let program = script(&root, "sleep 1000 & sleep 1000");
        let sendmail = Sendmail::new(Some(program));
        let sendmail = sendmail.limit(Duration::ZERO);
        let error = sendmail.send(&LETTER).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("took longer than 0 s, and was ended"),
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
        let sendmail = Sendmail::new(Some(program));
        sendmail.send(&LETTER).unwrap();
        let refuses = format!("(read x < {root}/end) & echo full >&2; exit 75");
        script(&root, &format!("cat > /dev/null; {refuses}"));
        let error = sendmail.send(&LETTER).unwrap_err();
        assert!(error.to_string().contains("took no mail"), "{error}");
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
            assert!(
                MailAddress::try_from(wrong.to_owned()).is_err(),
                "{wrong:?}"
            );
        }
    }

    proptest! {
        /// Whatever stands in a letter, the headers are these and no others.
        #[test]
        fn nothing_gets_into_the_headers(subject in "(?s).{0,40}", id in "(?s).{0,40}", host in ".*", more in "(?s).{0,40}") {
            let letter = Letter {
                subject: &subject,
                id: &id,
                host: &host,
                headers: &[("List-Unsubscribe", more)],
                ..LETTER
            };
            let mail = letter.to_text();
            prop_assert!(mail.is_ascii() && !mail.contains('\r'));
            let (head, _) = mail.split_once("\n\n").unwrap();
            let names: Vec<&str> = head
                .lines()
                .filter(|line| !line.starts_with(' '))
                .map(|line| line.split_once(": ").unwrap().0)
                .collect();
            prop_assert_eq!(names, [
                "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "Auto-Submitted", "Precedence",
                "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
            ]);
            prop_assert!(mail.lines().all(|line| line.len() <= 998));
        }
    }
}
