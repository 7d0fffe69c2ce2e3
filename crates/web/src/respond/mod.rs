//! From a request to its answer: what is asked for, by whom, and how it is shown.

mod account;
mod act;
mod api;
mod document;
mod forms;
mod issue;
mod login;
mod repository;
mod route;
mod rules;
mod show;
mod subscribe;

use jiff::Timestamp;
use serde::Serialize;

use crate::access::{self, Person};
use crate::app::App;
use crate::assets::assets;
use crate::fault::Fault;
use crate::frame::{Frame, Notice, Section};
use crate::page;
use crate::reply::Reply;
use crate::request::Request;
use crate::words;
pub use api::openapi;
pub(crate) use document::Made;
use route::Route;
pub(crate) use route::Shown;

/// The kind of page that is asked for, for the metrics.
pub(crate) fn name(request: &Request) -> &'static str {
    route::of(request).map_or("none", |route| route.name())
}

/// Answers a request. It may block.
pub(crate) fn to(app: &App, request: &Request) -> Result<Reply, Fault> {
    let route = route::of(request)?;
    let now = app.now();
    if let Route::Ready = route {
        return ready(app);
    }
    let context = Context {
        app,
        request,
        now,
        person: access::person(app, request, now)?,
    };
    match route {
        Route::Ready => ready(app),
        Route::Show(shown) => show::page(&context, &shown),
        Route::Data(shown) => api::data(&context, &shown),
        Route::OpenApi => api::document(),
        Route::ApiPage => api::page(&context),
        Route::Mine => show::mine(&context),
        Route::Login => login::page(&context),
        Route::LoginLocal => login::local(&context),
        Route::LoginGitHub => login::github(&context),
        Route::LoginBack => login::back(&context),
        Route::Logout => login::out(&context),
        Route::Settings => account::settings(&context, None),
        Route::MakeToken => account::make_token(&context),
        Route::RevokeToken => account::revoke_token(&context),
        Route::EndSession => account::end_session(&context),
        Route::People => account::people(&context),
        Route::SetRole => account::set_role(&context),
        Route::Document(document) => document::answer(&context, document),
        Route::Repository(folder, name) => repository::answer(&context, folder, name),
        Route::EditIssue(id) => issue::edit_page(&context, id),
        Route::Subscriptions => subscribe::page(&context),
        Route::Confirm => subscribe::confirm(&context),
        Route::End => subscribe::end(&context),
        Route::Feed(feed) => subscribe::feed(&context, feed),
        Route::Act(act) => act::act(&context, act),
    }
}

/// Says what went wrong: as a page, or to programs as data. `path` is the page that was asked for, to which a
/// login leads back.
pub(crate) fn fault(app: &App, fault: &Fault, id: &str, is_api: bool, path: &str) -> Reply {
    let reply = if is_api {
        Reply::problem(serde_json::to_vec(&fault.problem(id)).unwrap_or_default())
    } else {
        let path = crate::request::local(path).unwrap_or("/");
        let frame = frame(app, app.now(), Section::Other, path, None);
        let page = page::error(&frame, fault.title(), &fault.to_string(), fault.hint(), id);
        page.map_or_else(|_| Reply::text(fault.to_string()), Reply::page)
    };
    let mut reply = reply.status(fault.status());
    if let Some(seconds) = fault.retry_after() {
        reply = reply.retry_after(seconds);
    }
    if is_api && matches!(fault, Fault::LoginNeeded | Fault::BadToken) {
        reply = reply.with(hyper::header::WWW_AUTHENTICATE, "Bearer");
    }
    if let Fault::Method = fault {
        reply = reply.with(hyper::header::ALLOW, "GET, HEAD, POST");
    }
    reply
}

/// A request with who asks.
pub(crate) struct Context<'a> {
    pub(crate) app: &'a App,
    pub(crate) request: &'a Request,
    pub(crate) now: Timestamp,
    pub(crate) person: Option<Person>,
}

impl Context<'_> {
    /// Who asks, and an error where nobody is known.
    pub(crate) fn known(&self) -> Result<&Person, Fault> {
        self.person.as_ref().ok_or(Fault::LoginNeeded)
    }

    /// Who sends a form from their own page.
    pub(crate) fn sender(&self) -> Result<&Person, Fault> {
        let person = self.known()?;
        access::own_form(self.request, person)?;
        Ok(person)
    }

    /// What surrounds the page.
    pub(crate) fn frame(&self, section: Section) -> Frame {
        let path = crate::request::local(&self.request.target).unwrap_or("/");
        let mut frame = frame(self.app, self.now, section, path, self.person.as_ref());
        frame.notice = self.notice();
        frame
    }

    /// What a form that led here has done.
    fn notice(&self) -> Option<Notice> {
        let done = self.request.query.text("done")?;
        let event = self.request.query.text("event");
        let event = event.and_then(|event| event.parse().ok());
        words::done(done, self.request.query.text("count")).map(|text| Notice { text, undo: event })
    }

    /// The page to come back to.
    pub(crate) fn back(&self) -> &str {
        let fields = &self.request.form;
        let back = fields
            .get("back")
            .or_else(|| self.request.query.get("back"));
        back.and_then(crate::request::local).unwrap_or("/")
    }

    pub(crate) fn address(&self) -> String {
        self.request.peer.to_string()
    }
}

fn frame(
    app: &App,
    now: Timestamp,
    section: Section,
    path: &str,
    person: Option<&Person>,
) -> Frame {
    Frame {
        site: app.settings().site.clone(),
        path: without_notice(path),
        section,
        viewer: person.map(Person::viewer),
        now,
        notice: None,
        follow: None,
        feed: None,
        api: None,
        assets: assets(),
    }
}

/// An address without what says that something was done.
pub(crate) fn without_notice(path: &str) -> String {
    let Some((page, query)) = path.split_once('?') else {
        return path.to_owned();
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|field| {
            let name = field.split('=').next().unwrap_or_default();
            !matches!(name, "done" | "event" | "count")
        })
        .collect();
    if kept.is_empty() {
        page.to_owned()
    } else {
        format!("{page}?{}", kept.join("&"))
    }
}

/// Whether requests can be answered: the database can be read, and the server is not about to stop.
fn ready(app: &App) -> Result<Reply, Fault> {
    if app.stopping().load(std::sync::atomic::Ordering::Relaxed) {
        return Err(Fault::Busy);
    }
    app.database()
        .read(|session| session.query("SELECT 1", &[]))
        .map_err(Fault::internal)?;
    Ok(Reply::text("ready\n"))
}

/// Data as an answer; what would steer a terminal is escaped in its texts.
pub(crate) fn json(value: &impl Serialize) -> Result<Reply, Fault> {
    let text = serde_json::to_string(value).map_err(Fault::internal)?;
    Ok(Reply::json(
        snowguard_report::escape::json(text).into_bytes(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_does_not_stay_in_the_address() {
        assert_eq!(
            without_notice("/queue?done=decided&by=package&event=7"),
            "/queue?by=package"
        );
        assert_eq!(without_notice("/queue?done=decided"), "/queue");
        assert_eq!(without_notice("/queue"), "/queue");
    }
}
