//! Notifications in a person's session, over D-Bus.
//!
//! Source: the Desktop Notifications Specification of freedesktop.org, version 1.2.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Deserialize;
use snowguard_report::escape::fit;
use snowguard_watch::{Message, Severity};
use zbus::wire::Variant;

use crate::{Deliver, DeliverError};

/// So many packages are named.
const SHOWN: usize = 5;
/// The longest line, in columns.
const COLUMNS: usize = 100;

/// Settings: `[notify.desktop]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {}

#[zbus::proxy(
    interface = "org.freedesktop.Notifications",
    default_service = "org.freedesktop.Notifications",
    default_path = "/org/freedesktop/Notifications"
)]
trait Notifications {
    #[expect(clippy::too_many_arguments, reason = "the specification has them")]
    fn notify(
        &self,
        app_name: &str,
        replaces_id: u32,
        app_icon: &str,
        summary: &str,
        body: &str,
        actions: &[&str],
        hints: HashMap<&str, Variant<'_>>,
        expire_timeout: i32,
    ) -> zbus::Result<u32>;

    fn get_capabilities(&self) -> zbus::Result<Vec<String>>;
}

/// Shows notifications.
pub struct Desktop {
    runtime: tokio::runtime::Runtime,
    /// The one that is shown: the next takes its place.
    shown: u32,
    /// How many changes it took the place of.
    before: usize,
}

impl Desktop {
    /// In the session of whoever runs this.
    pub fn new() -> Result<Self, DeliverError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| DeliverError::of("cannot use the network", source))?;
        Ok(Self {
            runtime,
            shown: 0,
            before: 0,
        })
    }
}

impl Deliver for Desktop {
    fn deliver(&mut self, message: &Message, _again: bool) -> Result<(), DeliverError> {
        let cannot = |source| {
            DeliverError::of("cannot show a notification", source)
                .hint("a session with a notification service is needed; it is tried again")
        };
        let (shown, before) = (self.shown, self.before);
        let id = self
            .runtime
            .block_on(show(message, shown, before))
            .map_err(cannot)?;
        self.before = if id == self.shown { before } else { 0 } + message.changes.len();
        self.shown = id;
        Ok(())
    }
}

async fn show(message: &Message, shown: u32, before: usize) -> zbus::Result<u32> {
    let connection = zbus::Connection::session().await?;
    let server = NotificationsProxy::new(&connection).await?;
    let markup = server
        .get_capabilities()
        .await?
        .iter()
        .any(|capability| capability == "body-markup");
    let body = body(message, before, markup);
    let hints = HashMap::from([
        ("urgency", Variant::from(urgency(message))),
        ("category", Variant::from("device")),
        ("x-snowguard-key", Variant::from(message.key.as_str())),
    ]);
    let summary = message.headline();
    server
        .notify(
            "Snowguard",
            shown,
            "security-medium",
            &fit(&summary, COLUMNS),
            &body,
            &[],
            hints,
            -1,
        )
        .await
}

/// Low, normal or critical, as the specification counts.
fn urgency(message: &Message) -> u8 {
    match message.severity() {
        _ if message.exploited() => 2,
        Severity::Critical => 2,
        _ if message.is_alarm() => 1,
        _ => 0,
    }
}

fn body(message: &Message, before: usize, markup: bool) -> String {
    let mut body = String::new();
    let groups = message.groups();
    for group in groups.iter().take(SHOWN) {
        let (name, action) = (group.name(), group.action());
        let text = match (group.alarm, action.as_str()) {
            (true, action) => format!("{name}: {action}"),
            (false, _) => format!("{name}: no longer affected"),
        };
        let _ = writeln!(body, "{}", fit(&text, COLUMNS));
    }
    if groups.len() > SHOWN {
        let _ = writeln!(body, "and {} more packages", groups.len() - SHOWN);
    }
    if before > 0 {
        let _ = writeln!(body, "and {before} changes before");
    }
    body.push_str("`snowguard status` shows all");
    if markup { escaped(&body) } else { body }
}

/// Names of packages are no markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::tests::message;

    #[test]
    fn what_is_shown() {
        let mut message = message(&["1", "2"]);
        message.changes[0].told.package = Some("<b>bold</b> & co".into());
        insta::assert_snapshot!(body(&message, 0, true), @r"
        &lt;b&gt;bold&lt;/b&gt; &amp; co 1.1.1g: update to 1.1.1za or later
        openssl 1.1.1g: update to 1.1.1za or later
        `snowguard status` shows all
        ");
        assert!(body(&message, 3, false).contains("<b>bold</b> & co"));
        assert_eq!(urgency(&message), 1);
        message.changes[0].told.exploited = true;
        assert_eq!(urgency(&message), 2);
    }
}
