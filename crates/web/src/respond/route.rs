//! What an address means.

use crate::fault::Fault;
use crate::request::{Method, Request};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'r> {
    /// A page with data.
    Show(Shown<'r>),
    /// The same data for programs.
    Data(Shown<'r>),
    OpenApi,
    ApiPage,
    Ready,
    Mine,
    Login,
    LoginLocal,
    LoginGitHub,
    LoginBack,
    Logout,
    Settings,
    MakeToken,
    RevokeToken,
    EndSession,
    People,
    SetRole,
    Document(Document<'r>),
    /// A file of the index that is published with the decisions: its folder and its name.
    Repository(&'r str, &'r str),
    Feed(Feed<'r>),
    /// One's own subscriptions.
    Subscriptions,
    /// Somebody follows the link of the letter that asks.
    Confirm,
    /// Somebody follows the link at the end of a letter.
    End,
    /// The form that edits an issue.
    EditIssue(&'r str),
    /// Something is done, by a form or a program.
    Act(Act),
}

/// A page with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown<'r> {
    Home,
    Queue,
    Advisory(&'r str),
    Package(&'r str),
    Finding {
        package: &'r str,
        advisory: &'r str,
    },
    Maintainer(&'r str),
    Channels,
    Channel(&'r str),
    Search,
    Activity,
    About,
    Issues,
    Issue(&'r str),
    /// What is proposed to who publishes an advisory.
    Draft(&'r str),
    /// The rules about a package.
    Rules(&'r str),
}

/// A document for other tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Document<'r> {
    /// One issue.
    Osv(&'r str),
    /// All issues, a line each.
    OsvAll,
    /// All issues, a file each.
    OsvArchive,
    OpenVex,
    /// One channel.
    Secdb(&'r str),
    /// The newest issues.
    Atom,
    /// All decisions, for scans.
    Triage,
    /// The same, packed.
    TriagePacked,
}

/// What is new of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed<'r> {
    Package(&'r str),
    Maintainer(&'r str),
    Advisory(&'r str),
    Channel(&'r str),
    Search,
    Activity,
}

/// Something that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Decide,
    Comment,
    Assign,
    Undo,
    Publish,
    Edit,
    Withdraw,
    Subscribe,
    Unsubscribe,
    Remember,
    Forget,
    /// A channel is followed again.
    Follow,
    /// A channel is left out.
    Drop,
}

/// What a request asks for.
pub(crate) fn of(request: &Request) -> Result<Route<'_>, Fault> {
    let path = request.path();
    let route = match path[..] {
        ["readyz"] => Route::Ready,
        ["api"] => Route::ApiPage,
        ["api", "v1", "openapi.json"] => Route::OpenApi,
        ["api", "v1", ref rest @ ..] => match act(rest) {
            Some(act) => Route::Act(act),
            None if rest == ["subscriptions"] => Route::Subscriptions,
            None => shown(rest, true).map(Route::Data).ok_or(Fault::NoPage)?,
        },
        ["mine"] => Route::Mine,
        ["login"] => Route::Login,
        ["login", "local"] => Route::LoginLocal,
        ["login", "github"] => Route::LoginGitHub,
        ["login", "callback"] => Route::LoginBack,
        ["logout"] => Route::Logout,
        ["settings"] => Route::Settings,
        ["settings", "tokens"] => Route::MakeToken,
        ["settings", "tokens", "revoke"] => Route::RevokeToken,
        ["settings", "sessions", "end"] => Route::EndSession,
        ["admin"] => Route::People,
        ["admin", "role"] => Route::SetRole,
        ["subscriptions"] => Route::Subscriptions,
        ["subscriptions", "confirm"] => Route::Confirm,
        ["subscriptions", "end"] => Route::End,
        ["atom", ref rest @ ..] => feed(rest).map(Route::Feed).ok_or(Fault::NoPage)?,
        ["issues", name, "edit"] => Route::EditIssue(name),
        ["repository", folder @ ("metadata" | "targets"), name] => Route::Repository(folder, name),
        ref rest if let Some(document) = document(rest) => Route::Document(document),
        ref rest => match act(rest) {
            Some(act) => Route::Act(act),
            None => shown(rest, false).map(Route::Show).ok_or(Fault::NoPage)?,
        },
    };
    if route.takes(request.method) {
        Ok(route)
    } else {
        Err(Fault::Method)
    }
}

fn shown<'r>(path: &[&'r str], for_programs: bool) -> Option<Shown<'r>> {
    Some(match *path {
        [] if !for_programs => Shown::Home,
        ["home"] if for_programs => Shown::Home,
        ["queue"] => Shown::Queue,
        ["advisories", name] => Shown::Advisory(name),
        ["packages", key] => Shown::Package(key),
        ["packages", package, advisory] => Shown::Finding { package, advisory },
        ["maintainers", name] => Shown::Maintainer(name),
        ["channels"] => Shown::Channels,
        ["channels", name] => Shown::Channel(name),
        ["search"] => Shown::Search,
        ["activity"] => Shown::Activity,
        ["data"] => Shown::About,
        ["rules", key] => Shown::Rules(key),
        ["issues"] => Shown::Issues,
        ["issues", name] => Shown::Issue(name),
        ["advisories", name, "publish"] => Shown::Draft(name),
        _ => return None,
    })
}

fn document<'r>(path: &[&'r str]) -> Option<Document<'r>> {
    Some(match *path {
        ["issues", name] => Document::Osv(name.strip_suffix(".osv.json")?),
        ["osv", "all.jsonl"] => Document::OsvAll,
        ["osv", "all.zip"] => Document::OsvArchive,
        ["openvex.json"] => Document::OpenVex,
        ["secdb", name] => Document::Secdb(name.strip_suffix(".json")?),
        ["issues.atom"] => Document::Atom,
        ["triage.json"] => Document::Triage,
        ["triage.json.zst"] => Document::TriagePacked,
        _ => return None,
    })
}

fn feed<'r>(path: &[&'r str]) -> Option<Feed<'r>> {
    Some(match *path {
        ["packages", key] => Feed::Package(key),
        ["maintainers", name] => Feed::Maintainer(name),
        ["advisories", name] => Feed::Advisory(name),
        ["channels", name] => Feed::Channel(name),
        ["search"] => Feed::Search,
        ["activity"] => Feed::Activity,
        _ => return None,
    })
}

fn act(path: &[&str]) -> Option<Act> {
    Some(match *path {
        ["decide"] => Act::Decide,
        ["comment"] => Act::Comment,
        ["assign"] => Act::Assign,
        ["undo"] => Act::Undo,
        ["publish"] => Act::Publish,
        ["edit"] => Act::Edit,
        ["withdraw"] => Act::Withdraw,
        ["remember"] => Act::Remember,
        ["forget"] => Act::Forget,
        ["follow"] => Act::Follow,
        ["drop"] => Act::Drop,
        ["subscribe"] => Act::Subscribe,
        ["unsubscribe"] => Act::Unsubscribe,
        _ => return None,
    })
}

impl Route<'_> {
    fn takes(&self, method: Method) -> bool {
        let sends = matches!(
            self,
            Self::LoginGitHub
                | Self::Logout
                | Self::MakeToken
                | Self::RevokeToken
                | Self::EndSession
                | Self::SetRole
                | Self::Act(_)
        );
        // An address with a token is followed, and the form that takes it is sent.
        matches!(self, Self::LoginLocal | Self::Confirm | Self::End)
            || sends == (method == Method::Post)
    }

    /// What it is called in the metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Show(shown) => shown.name(),
            Self::Data(_) => "api",
            Self::OpenApi | Self::ApiPage => "api-description",
            Self::Ready => "health",
            Self::Mine => "mine",
            Self::Login | Self::LoginLocal | Self::LoginGitHub | Self::LoginBack | Self::Logout => {
                "login"
            }
            Self::Settings | Self::MakeToken | Self::RevokeToken | Self::EndSession => "settings",
            Self::People | Self::SetRole => "admin",
            Self::Document(_) | Self::Feed(_) => "document",
            Self::Repository(..) => "repository",
            Self::Subscriptions | Self::Confirm | Self::End => "subscriptions",
            Self::EditIssue(_) => "issue",
            Self::Act(_) => "act",
        }
    }
}

impl Shown<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Queue => "queue",
            Self::Advisory(_) => "advisory",
            Self::Package(_) => "package",
            Self::Finding { .. } => "finding",
            Self::Maintainer(_) => "maintainer",
            Self::Channels => "channels",
            Self::Channel(_) => "channel",
            Self::Search => "search",
            Self::Activity => "activity",
            Self::About => "data",
            Self::Rules(_) => "rules",
            Self::Issues => "issues",
            Self::Issue(_) | Self::Draft(_) => "issue",
        }
    }
}
