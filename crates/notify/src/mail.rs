//! Mail, through a program that is called like sendmail.

use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::Deserialize;
use snowguard_report::escape::fit;
use snowguard_send::mail::{Letter, MailAddress, MailError, Sendmail};
use snowguard_watch::Message;

use crate::{Deliver, DeliverError};

/// The longest subject, in columns.
const SUBJECT: usize = 160;

/// Settings: `[notify.mail]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// To whom.
    pub to: Vec<MailAddress>,
    /// From whom; sendmail fills it in where it is not set.
    pub from: Option<MailAddress>,
    /// The program [default: that of NixOS, else `/usr/sbin/sendmail`].
    pub sendmail: Option<Utf8PathBuf>,
}

/// Sends mail.
#[derive(Debug)]
pub struct Mailer {
    settings: Settings,
    sendmail: Sendmail,
}

impl Mailer {
    /// To those of the settings.
    pub fn new(settings: Settings) -> Result<Self, DeliverError> {
        if settings.to.is_empty() {
            return Err(DeliverError::new(
                "`notify.mail.to` is empty: there is nobody to tell",
            ));
        }
        let sendmail = Sendmail::new(settings.sendmail.clone());
        Ok(Self { settings, sendmail })
    }

    fn letter<T>(
        &self,
        message: &Message,
        at: Timestamp,
        then: impl FnOnce(&Letter<'_>) -> T,
    ) -> T {
        let headline = message.headline();
        then(&Letter {
            from: self.settings.from.as_ref(),
            to: &self.settings.to,
            subject: &fit(&headline, SUBJECT),
            id: message.key.as_str(),
            host: &message.host,
            at,
            headers: &[],
            text: &format!(
                "{headline}\n\n{}\n`snowguard status` shows what is open, `snowguard explain` why.\n",
                message.text()
            ),
        })
    }
}

impl Deliver for Mailer {
    fn deliver(&mut self, message: &Message, _again: bool) -> Result<(), DeliverError> {
        let at = snowguard_watch::service::now();
        self.letter(message, at, |letter| self.sendmail.send(letter))
            .map_err(failed)
    }
}

fn failed(error: MailError) -> DeliverError {
    let hint = match &error {
        MailError::Program { .. } => "`notify.mail.sendmail` names the program",
        _ => error.hint(),
    };
    let told = error.to_string();
    match error {
        MailError::Program { source, .. } => DeliverError::of(told, source),
        _ => DeliverError::new(told),
    }
    .hint(hint)
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use proptest::prelude::*;

    use super::*;
    use crate::notifier::tests::message;

    fn settings(program: Option<Utf8PathBuf>) -> Settings {
        let address = |text: &str| MailAddress::try_from(text.to_owned()).unwrap();
        Settings {
            to: vec![address("root"), address("security@tern.example")],
            from: Some(address("snowguard@tern.example")),
            sendmail: program,
        }
    }

    fn text(letter: &Letter<'_>) -> String {
        letter.to_text()
    }

    #[test]
    fn a_mail() {
        let mailer = Mailer::new(settings(None)).unwrap();
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let message = message(&["1", "2"]);
        let mail = mailer.letter(&message, at, text);
        let (head, body) = mail.split_once("\n\n").unwrap();
        let body = BASE64.decode(body.replace('\n', "").as_bytes()).unwrap();
        let body = String::from_utf8(body).unwrap().replace("\r\n", "\n");
        insta::assert_snapshot!(format!("{head}\n\n{body}"));
    }

    #[test]
    fn there_is_somebody_to_tell() {
        let nobody = Settings {
            to: vec![],
            ..settings(None)
        };
        assert!(Mailer::new(nobody).is_err());
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
            let mail = mailer.letter(&message, Timestamp::UNIX_EPOCH, text);
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
