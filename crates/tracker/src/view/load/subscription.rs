//! What one is told about.

use std::collections::HashMap;

use snowguard_db::Session;
use snowguard_db::subscriptions::{
    About, Pace, SubscriptionRow, Subscriptions as _, Topic, TopicKind, Way,
};

use super::ViewError;
use crate::view::{Subscription, Subscriptions};

/// One's own subscriptions. Six statements.
pub fn subscriptions(session: &mut dyn Session, account: i64) -> Result<Subscriptions, ViewError> {
    let rows = session.subscriptions_of(account)?;
    let mut names: HashMap<(TopicKind, i64), String> = HashMap::new();
    for kind in [
        TopicKind::Package,
        TopicKind::Maintainer,
        TopicKind::Advisory,
        TopicKind::Channel,
    ] {
        let of_kind = rows.iter().filter_map(subject);
        let ids: Vec<i64> = of_kind
            .filter(|(found, _)| *found == kind)
            .map(|(_, id)| id)
            .collect();
        let found = session.names_of_topics(kind, &ids)?;
        names.extend(found.into_iter().map(|(id, name)| ((kind, id), name)));
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut troubles: HashMap<i64, String> = session.troubles(&ids)?.into_iter().collect();
    let rows = rows.into_iter().map(|row| {
        let (kind, name) = match (&row.about, subject(&row)) {
            (About::Search(words), _) => ("search", words.clone()),
            (_, Some((kind, id))) => {
                let name = names.get(&(kind, id)).cloned();
                (word(kind), name.unwrap_or_default())
            }
            (_, None) => ("everything", String::new()),
        };
        Subscription {
            id: row.id,
            kind: kind.to_owned(),
            name,
            way: match row.way {
                Way::Mail => "mail",
                Way::Webhook => "webhook",
            }
            .to_owned(),
            pace: match row.pace {
                Pace::AtOnce => "at_once",
                Pace::Daily => "daily",
            }
            .to_owned(),
            created: row.created,
            confirmed: row.confirmed.is_some(),
            error: troubles.remove(&row.id),
            target: row.target,
        }
    });
    Ok(Subscriptions {
        subscriptions: rows.collect(),
    })
}

fn subject(row: &SubscriptionRow) -> Option<(TopicKind, i64)> {
    Some(match row.about {
        About::Topic(Topic::Package(id)) => (TopicKind::Package, id),
        About::Topic(Topic::Maintainer(id)) => (TopicKind::Maintainer, id),
        About::Topic(Topic::Advisory(id)) => (TopicKind::Advisory, id),
        About::Topic(Topic::Channel(id)) => (TopicKind::Channel, id),
        About::Topic(Topic::Everything | Topic::Found { .. }) | About::Search(_) => return None,
    })
}

fn word(kind: TopicKind) -> &'static str {
    match kind {
        TopicKind::Package => "package",
        TopicKind::Maintainer => "maintainer",
        TopicKind::Advisory => "advisory",
        TopicKind::Channel => "channel",
    }
}
