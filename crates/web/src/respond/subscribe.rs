//! Subscriptions: made on the page of what they are about, listed, and ended; agreed to and ended by the
//! links of letters, for which nobody needs a login; and feeds, for which nobody needs a subscription.

use hyper::header::CACHE_CONTROL;
use serde::Serialize;
use snowguard_db::subscriptions::{
    About, Pace, SubscriptionRow, Subscriptions as _, Topic, TopicKind, Way,
};
use snowguard_tracker::subscribe::{self as tracker, SECRET, SubscribeError, Wish};
use snowguard_tracker::view::load;
use utoipa::ToSchema;

use super::route::Feed;
use super::{Context, json};
use crate::access::Person;
use crate::fault::Fault;
use crate::frame::Section;
use crate::page::{self, Agree};
use crate::random;
use crate::reply::Reply;
use crate::request::Method;

/// How many entries a feed has.
const ENTRIES: u32 = 50;
/// How long what is searched for may be.
const QUERY: usize = 400;

/// A subscription that was made, for programs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Subscribed {
    /// Its number.
    id: i64,
    /// Whether it is in force; one by mail is when the link in the letter was followed.
    confirmed: bool,
    /// With what webhooks are signed, as Standard Webhooks writes it.
    secret: Option<String>,
}

/// A subscription that was ended, for programs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Unsubscribed {
    /// Its number.
    id: i64,
}

/// One's own subscriptions.
pub(super) fn page(context: &Context<'_>) -> Result<Reply, Fault> {
    let person = context.known()?;
    person.needs(snowguard_db::people::Scopes::SUBSCRIBE, "subscribe")?;
    let account = person.account.id;
    let (view, secrets) = context
        .app
        .database()
        .try_read(|session| {
            let view = load::subscriptions(session, account)?;
            let rows = session.subscriptions_of(account)?;
            Ok::<_, load::ViewError>((view, secrets(&rows)))
        })
        .map_err(Fault::internal)?;
    if context.request.is_api() {
        return json(&view);
    }
    let html = page::subscriptions(
        &context.frame(Section::Other),
        &view,
        person.csrf(),
        &secrets,
    )?;
    Ok(Reply::page(html).with(CACHE_CONTROL, "no-store"))
}

/// With what the webhooks of somebody are signed, by number.
fn secrets(rows: &[SubscriptionRow]) -> Vec<(i64, String)> {
    let hooks = rows.iter().filter(|row| row.way == Way::Webhook);
    hooks.map(|row| (row.id, shown(&row.secret))).collect()
}

/// A secret as Standard Webhooks writes it.
fn shown(secret: &[u8]) -> String {
    format!("whsec_{}", data_encoding::BASE64.encode(secret))
}

/// Makes a subscription.
pub(super) fn subscribe(context: &Context<'_>, person: &Person) -> Result<Reply, Fault> {
    let form = &context.request.form;
    let missing = |what: &str| Fault::Refused(format!("{what} is not said"));
    let way = match form.text("way") {
        Some("mail") if context.app.settings().letters => Way::Mail,
        Some("mail") => return Err(Fault::Refused("this tracker sends no letters".into())),
        Some("webhook") => Way::Webhook,
        _ => return Err(missing("how one is told")),
    };
    let pace = match form.text("pace") {
        Some("at_once") => Pace::AtOnce,
        Some("daily") => Pace::Daily,
        _ => return Err(missing("how often one is told")),
    };
    let target = form.text("target");
    let wish = Wish {
        account: person.account.id,
        way,
        target: target.ok_or_else(|| missing("where one is told"))?,
        about: about(context, form.text("kind"), form.text("name"))?,
        pace,
        secret: secret()?,
    };
    let made = tracker::subscribe(context.app.database(), &wish, context.now).map_err(fault)?;
    if context.request.is_api() {
        return json(&Subscribed {
            id: made.id,
            confirmed: made.confirmed.is_some(),
            secret: (way == Way::Webhook).then(|| shown(&made.secret)),
        });
    }
    let word = match way {
        Way::Mail => "asked",
        Way::Webhook => "subscribed",
    };
    Ok(Reply::see_other(&format!("/subscriptions?done={word}")))
}

/// Ends one's own subscription.
pub(super) fn unsubscribe(context: &Context<'_>, person: &Person) -> Result<Reply, Fault> {
    let given = context.request.form.text("subscription");
    let missing = || Fault::NotFound {
        what: "subscription",
        name: given.unwrap_or_default().to_owned(),
    };
    let id = given.and_then(|id| id.parse().ok()).ok_or_else(missing)?;
    let is_done = tracker::end(context.app.database(), person.account.id, id, context.now)
        .map_err(Fault::internal)?;
    if !is_done {
        return Err(missing());
    }
    if context.request.is_api() {
        return json(&Unsubscribed { id });
    }
    Ok(Reply::see_other("/subscriptions?done=ended"))
}

/// The link of the letter that asks: the page asks again, since programs follow links, too.
pub(super) fn confirm(context: &Context<'_>) -> Result<Reply, Fault> {
    let (token, row) = linked(context)?;
    if context.request.method == Method::Post {
        tracker::confirm(context.app.database(), token, context.now).map_err(Fault::internal)?;
        return agree(context, token, &row, Agree::Agreed);
    }
    let state = if row.ended.is_some() {
        Agree::Ended
    } else if row.confirmed.is_some() {
        Agree::Agreed
    } else {
        Agree::Ask
    };
    agree(context, token, &row, state)
}

/// The link at the end of a letter. Who has it needs no login, and what a mail program sends by itself
/// (RFC 8058) is done at once.
pub(super) fn end(context: &Context<'_>) -> Result<Reply, Fault> {
    let (token, row) = linked(context)?;
    if context.request.method == Method::Post {
        tracker::unsubscribe(context.app.database(), token, context.now)
            .map_err(Fault::internal)?;
        return agree(context, token, &row, Agree::Ended);
    }
    let state = if row.ended.is_some() {
        Agree::Ended
    } else {
        Agree::AskEnd
    };
    agree(context, token, &row, state)
}

/// The subscription of a link.
fn linked<'c>(context: &'c Context<'_>) -> Result<(&'c str, SubscriptionRow), Fault> {
    let request = context.request;
    let token = request.query.text("token");
    let token = token
        .or_else(|| request.form.text("token"))
        .unwrap_or_default();
    let row = tracker::of_link(context.app.database(), token).map_err(Fault::internal)?;
    // What was given is not repeated: it may be most of a secret.
    let row = row.ok_or_else(|| Fault::NotFound {
        what: "subscription of this",
        name: "link".into(),
    })?;
    Ok((token, row))
}

fn agree(
    context: &Context<'_>,
    token: &str,
    row: &SubscriptionRow,
    state: Agree,
) -> Result<Reply, Fault> {
    let view = context
        .app
        .database()
        .try_read(|session| load::subscriptions(session, row.account))
        .map_err(Fault::internal)?;
    let of = view.subscriptions.into_iter().find(|of| of.id == row.id);
    let html = page::agree(&context.frame(Section::Other), token, of.as_ref(), state)?;
    Ok(Reply::page(html).with(CACHE_CONTROL, "no-store"))
}

/// What is new of something, as a feed.
pub(super) fn feed(context: &Context<'_>, feed: Feed<'_>) -> Result<Reply, Fault> {
    let (kind, name) = match feed {
        Feed::Package(name) => ("package", name),
        Feed::Maintainer(name) => ("maintainer", name),
        Feed::Advisory(name) => ("advisory", name),
        Feed::Channel(name) => ("channel", name),
        Feed::Search => {
            let words = context.request.query.text("q").unwrap_or_default();
            if words.is_empty() || words.len() > QUERY {
                return Err(Fault::Malformed("a search has 1 to 400 bytes".into()));
            }
            ("search", words)
        }
        Feed::Activity => ("everything", ""),
    };
    let about = about(context, Some(kind), Some(name))?;
    let news = context
        .app
        .database()
        .read(|session| tracker::newest(session, &about, ENTRIES))
        .map_err(Fault::internal)?;
    let path = context.request.target.trim_start_matches('/');
    let title = match feed {
        Feed::Activity => "Activity".to_owned(),
        _ => name.to_owned(),
    };
    let site = context.app.site();
    let feed = tracker::feed(&site, path, &title, &news, jiff::Timestamp::UNIX_EPOCH);
    Ok(Reply::document(
        "application/atom+xml",
        feed.to_xml().into_bytes(),
    ))
}

/// What is meant by a kind and a name.
fn about(context: &Context<'_>, kind: Option<&str>, name: Option<&str>) -> Result<About, Fault> {
    let name = name.unwrap_or_default();
    let (kind, what) = match kind {
        Some("everything") => return Ok(About::Topic(Topic::Everything)),
        Some("search") => return Ok(About::Search(name.to_owned())),
        Some("package") => (TopicKind::Package, "package"),
        Some("maintainer") => (TopicKind::Maintainer, "maintainer"),
        Some("advisory") => (TopicKind::Advisory, "advisory"),
        Some("channel") => (TopicKind::Channel, "channel"),
        _ => return Err(Fault::Refused("what one is told about is not said".into())),
    };
    let topic = context
        .app
        .database()
        .read(|session| session.topic_of(kind, name))
        .map_err(Fault::internal)?;
    let topic = topic.ok_or_else(|| Fault::NotFound {
        what,
        name: name.to_owned(),
    })?;
    Ok(About::Topic(topic))
}

fn secret() -> Result<[u8; SECRET], Fault> {
    Ok(random::digest(&random::secret()?))
}

fn fault(error: SubscribeError) -> Fault {
    match error {
        SubscribeError::Db(error) => Fault::internal(error),
        other => Fault::Refused(other.to_string()),
    }
}
