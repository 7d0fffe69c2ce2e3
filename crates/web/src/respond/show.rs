//! Pages with data: what is loaded, how it is shown, and what may be decided on them.

use snowguard_db::people::People as _;
use snowguard_db::{DbError, Session};
use snowguard_tracker::view::load::{self, ViewError};
use snowguard_tracker::view::{
    Activity, Advisory, Bucket, Channel, Channels, Data, Draft, Finding, FindingRow, Grouping,
    HitKind, Home, Issue, Issues, Maintainer, Package, Queue, QueueFilter, Rating, Rules, Search,
    State,
};
use snowguard_triage::Right;

use super::route::Shown;
use super::{Context, issue, rules};
use crate::fault::Fault;
use crate::frame::{Follow, Frame, Section};
use crate::href;
use crate::page::{self, Form};
use crate::reply::Reply;

/// The data of a page.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(super) enum Loaded {
    Home(Box<Home>),
    Queue(Box<Queue>),
    Advisory(Box<Advisory>),
    Package(Box<Package>),
    Finding(Box<Finding>),
    Maintainer(Box<Maintainer>),
    Channels(Channels),
    Channel(Box<Channel>),
    Search(Search),
    Activity(Activity),
    About(Data),
    Issues(Issues),
    Issue(Box<Issue>),
    Draft(Box<Draft>),
    Rules(Box<Rules>),
}

/// Why there is no data to show.
pub(super) enum NoData {
    Fault(Fault),
    /// It is at another address.
    Elsewhere(String),
}

impl From<Fault> for NoData {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A page with data.
pub(super) fn page(context: &Context<'_>, shown: &Shown<'_>) -> Result<Reply, Fault> {
    let loaded = match load(context, shown) {
        Ok(loaded) => loaded,
        Err(NoData::Elsewhere(address)) => return Ok(Reply::moved(&address)),
        Err(NoData::Fault(fault)) => return Err(fault),
    };
    let section = match shown {
        Shown::Home => Section::Home,
        Shown::Queue => Section::Queue,
        Shown::Channels | Shown::Channel(_) => Section::Channels,
        Shown::Activity => Section::Activity,
        Shown::Issues | Shown::Issue(_) => Section::Issues,
        Shown::Maintainer(name) if is_own(context, name) => Section::Mine,
        _ => Section::Other,
    };
    let mut frame = context.frame(section);
    frame.api = Some(match shown {
        Shown::Home => "/api/v1/home".to_owned(),
        _ => format!("/api/v1{}", frame.path),
    });
    follow(context, shown, &loaded, &mut frame);
    let frame = &frame;
    let html = match &loaded {
        Loaded::Home(view) => page::home(frame, view),
        Loaded::Queue(view) => page::queue(frame, view),
        Loaded::Advisory(view) => {
            let keys = view.findings.iter().map(|row| row.package.key.as_str());
            let is_confirmed =
                |row: &FindingRow| matches!(row.state, State::Confirmed | State::Closed);
            let publish = view.findings.iter().any(is_confirmed);
            let form = form(context, keys, true)?.map(|form| Form {
                publish: form.publish && publish,
                ..form
            });
            page::advisory(
                frame,
                view,
                form.as_ref().filter(|_| !view.findings.is_empty()),
            )
        }
        Loaded::Package(view) => {
            let form = form(context, [view.package.key.as_str()], true)?;
            page::package(frame, view, form.as_ref())
        }
        Loaded::Finding(view) => {
            let form = form(context, [view.row.package.key.as_str()], false)?;
            let form = form.map(|form| Form {
                choices: view
                    .transitions
                    .iter()
                    .map(|transition| transition.to)
                    .collect(),
                assigned: view.row.assignee.is_some(),
                publish: form.publish && matches!(view.row.state, State::Confirmed | State::Closed),
                ..form
            });
            page::finding(frame, view, form.as_ref())
        }
        Loaded::Maintainer(view) => page::maintainer(frame, view),
        Loaded::Channels(view) => page::channels(frame, view),
        Loaded::Channel(view) => {
            let person = context.person.as_ref();
            let may = person.is_some_and(|person| person.standing(false).may(Right::DropChannel));
            page::channel(frame, view, may)
        }
        Loaded::Search(view) => page::search(frame, view),
        Loaded::Activity(view) => page::activity(frame, view),
        Loaded::About(view) => page::data(frame, view),
        Loaded::Issues(view) => page::issues(frame, view),
        Loaded::Issue(view) => page::issue(frame, view, issue::may_publish(context)),
        Loaded::Rules(view) => rules::page(context, frame, view),
        Loaded::Draft(view) => return issue::draft_page(context, frame, view),
    };
    Ok(Reply::page(html?))
}

/// What can be subscribed to on a page, and where its feed is.
fn follow(context: &Context<'_>, shown: &Shown<'_>, loaded: &Loaded, frame: &mut Frame) {
    let (kind, name) = match loaded {
        Loaded::Package(view) => ("package", view.package.key.clone()),
        Loaded::Maintainer(view) => ("maintainer", view.name.clone()),
        Loaded::Advisory(view) => ("advisory", view.name.clone()),
        Loaded::Channel(view) => ("channel", view.summary.name.clone()),
        Loaded::Search(view) if !view.query.is_empty() => ("search", view.query.clone()),
        Loaded::Activity(view) if view.actor.is_none() => ("everything", String::new()),
        Loaded::Issues(_) => {
            frame.feed = Some("/issues.atom".to_owned());
            return;
        }
        _ => return,
    };
    frame.feed = Some(href::feed(shown, &name));
    frame.follow = Some(Follow {
        kind,
        name,
        letters: context.app.settings().letters,
    });
}

/// Loads what is to be shown.
pub(super) fn load(context: &Context<'_>, shown: &Shown<'_>) -> Result<Loaded, NoData> {
    let query = &context.request.query;
    let cursor = query.text("cursor");
    let read = |work: &mut dyn FnMut(&mut dyn Session) -> Result<Loaded, ViewError>| {
        context.app.database().try_read(|session| work(session))
    };
    let loaded = match *shown {
        Shown::Home => read(&mut |s| Ok(Loaded::Home(Box::new(load::home(s)?)))),
        Shown::Queue => {
            let filter = filter(context)?;
            read(&mut |s| Ok(Loaded::Queue(Box::new(load::queue(s, &filter, cursor)?))))
        }
        Shown::Advisory(name) => {
            read(&mut |s| Ok(Loaded::Advisory(Box::new(load::advisory(s, name, cursor)?))))
        }
        Shown::Package(key) => {
            read(&mut |s| Ok(Loaded::Package(Box::new(load::package(s, key, cursor)?))))
        }
        Shown::Finding { package, advisory } => read(&mut |s| {
            Ok(Loaded::Finding(Box::new(load::finding(
                s, package, advisory,
            )?)))
        }),
        Shown::Maintainer(name) => read(&mut |s| {
            Ok(Loaded::Maintainer(Box::new(load::maintainer(
                s, name, cursor,
            )?)))
        }),
        Shown::Channels => read(&mut |s| Ok(Loaded::Channels(load::channels(s)?))),
        Shown::Channel(name) => {
            read(&mut |s| Ok(Loaded::Channel(Box::new(load::channel(s, name, cursor)?))))
        }
        Shown::Search => {
            let kind = query.text("kind").and_then(HitKind::from_key);
            let text = query.text("q").unwrap_or_default();
            if text.len() > 400 {
                return Err(Fault::Malformed("what is searched for is too long".into()).into());
            }
            read(&mut |s| Ok(Loaded::Search(load::search(s, text, kind, cursor)?)))
        }
        Shown::Activity => {
            let actor = query.text("actor");
            read(&mut |s| Ok(Loaded::Activity(load::activity(s, actor, cursor)?)))
        }
        Shown::Issues => read(&mut |s| Ok(Loaded::Issues(load::issues(s, cursor)?))),
        Shown::Issue(id) => read(&mut |s| Ok(Loaded::Issue(Box::new(load::issue(s, id)?)))),
        Shown::Draft(name) => read(&mut |s| Ok(Loaded::Draft(Box::new(load::draft(s, name)?)))),
        Shown::Rules(key) => {
            return rules::load(context, key).map(|view| Loaded::Rules(Box::new(view)));
        }
        Shown::About => read(&mut |s| Ok(Loaded::About(load::data(s, env!("CARGO_PKG_VERSION"))?))),
    };
    loaded.map_err(|error| match error {
        ViewError::Elsewhere(name) => NoData::Elsewhere(elsewhere(shown, &name)),
        ViewError::NotFound { what, name } => Fault::NotFound { what, name }.into(),
        ViewError::Cursor => Fault::Malformed(error.to_string()).into(),
        error => Fault::internal(error).into(),
    })
}

/// The address by the name that counts.
fn elsewhere(shown: &Shown<'_>, name: &str) -> String {
    match shown {
        Shown::Finding { package, .. } => href::pair(package, name),
        Shown::Draft(_) => href::publish(name),
        _ => href::advisory(name),
    }
}

/// The page of what is one's own.
pub(super) fn mine(context: &Context<'_>) -> Result<Reply, Fault> {
    let Some(person) = &context.person else {
        return Ok(Reply::see_other("/login?back=/mine"));
    };
    let Some(maintainer) = person.account.maintainer else {
        // Who maintains nothing has what they took on.
        let filter = QueueFilter {
            assignee: Some(person.account.name.clone()),
            ..QueueFilter::default()
        };
        return Ok(Reply::see_other(&href::queue(&filter, None, None)));
    };
    let name = context
        .app
        .database()
        .read(|session| {
            let rows = session.query(
                "SELECT name FROM maintainer WHERE id = $1",
                &[maintainer.into()],
            )?;
            rows.first().map(|row| row.get::<String>(0)).transpose()
        })
        .map_err(Fault::internal)?;
    let name = name.unwrap_or_else(|| person.account.name.clone());
    Ok(Reply::see_other(&href::maintainer(&name)))
}

fn is_own(context: &Context<'_>, name: &str) -> bool {
    let own = context
        .person
        .as_ref()
        .map(|person| person.account.name.as_str());
    own.is_some_and(|own| own.eq_ignore_ascii_case(name))
}

/// What may be decided about these packages; none if it is not the viewer's to decide.
fn form<'k>(
    context: &Context<'_>,
    keys: impl IntoIterator<Item = &'k str>,
    many: bool,
) -> Result<Option<Form>, Fault> {
    let Some(person) = &context.person else {
        return Ok(None);
    };
    let may = if person.standing(false).may(Right::Triage) {
        true
    } else if let (Some(maintainer), true) = (
        person.account.maintainer,
        person.standing(true).may(Right::Triage),
    ) {
        let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
        context
            .app
            .database()
            .read(|session| maintains_one(session, maintainer, &keys))
            .map_err(Fault::internal)?
    } else {
        false
    };
    Ok(may.then(|| Form {
        csrf: person.csrf().to_owned(),
        login: person.account.name.clone(),
        choices: vec![
            State::Confirmed,
            State::NotAffected,
            State::NeedsReview,
            State::Duplicate,
            State::WontFix,
            State::Untriaged,
        ],
        selected: None,
        many,
        assigned: false,
        gives: person.standing(false).may(Right::AssignOthers),
        publish: person.standing(false).may(Right::Publish),
    }))
}

/// Whether a maintainer looks after one of these packages at least. Which of them is asked again when
/// something is decided.
fn maintains_one(
    session: &mut dyn Session,
    maintainer: i64,
    keys: &[String],
) -> Result<bool, DbError> {
    let rows = session.query("SELECT id FROM package WHERE key {in:1}", &[keys.into()])?;
    for id in rows.map(|row| row.get::<i64>(0))? {
        if session.maintains_all(maintainer, &[id])? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn filter(context: &Context<'_>) -> Result<QueueFilter, Fault> {
    let query = &context.request.query;
    let unknown = |what: &str| Fault::Malformed(format!("the {what} is not known"));
    Ok(QueueFilter {
        grouping: match query.text("by") {
            None | Some("advisory") => Grouping::Advisory,
            Some("package") => Grouping::Package,
            Some(_) => return Err(unknown("grouping")),
        },
        bucket: match query.text("bucket") {
            None => Bucket::Untriaged,
            Some(key) => Bucket::from_key(key).ok_or_else(|| unknown("list"))?,
        },
        rating: match query.text("rating") {
            None => None,
            Some(word) => Some(Rating::from_word(word).ok_or_else(|| unknown("severity"))?),
        },
        exploited: query.text("exploited").is_some(),
        channel: query.text("channel").map(str::to_owned),
        assignee: query.text("assignee").map(str::to_owned),
    })
}
