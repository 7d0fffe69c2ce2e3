//! What surrounds every page: who looks, where they are, and what just happened.

use jiff::Timestamp;

use crate::assets::Assets;

/// What surrounds a page.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The name of the site.
    pub site: String,
    /// The address of the page, with its query: where forms come back to.
    pub path: String,
    /// To which part of the site it belongs.
    pub section: Section,
    /// Who looks, if they are logged in.
    pub viewer: Option<Viewer>,
    /// The time at which the page is made.
    pub now: Timestamp,
    /// What just happened.
    pub notice: Option<Notice>,
    /// What can be subscribed to here.
    pub follow: Option<Follow>,
    /// Where what is new of it is as an Atom feed.
    pub feed: Option<String>,
    /// Where the same is as JSON.
    pub api: Option<String>,
    /// The files it needs.
    pub assets: &'static Assets,
}

/// A part of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The first page.
    Home,
    /// The queue.
    Queue,
    /// What is one's own.
    Mine,
    /// Channels.
    Channels,
    /// What is published.
    Issues,
    /// What was done.
    Activity,
    /// None of those in the head of the page.
    Other,
}

/// Who looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Their name.
    pub login: String,
    /// What shows that a form is from their own page.
    pub csrf: String,
}

/// What can be subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// What kind of thing: `package`, `search`.
    pub kind: &'static str,
    /// Its name, or what is searched for.
    pub name: String,
    /// Whether letters are sent.
    pub letters: bool,
}

/// What just happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// In words.
    pub text: String,
    /// The event that can be taken back.
    pub undo: Option<i64>,
}

impl Frame {
    /// The parts of the site that this viewer has.
    pub(crate) fn sections(&self) -> Vec<(Section, &'static str, &'static str)> {
        let mut sections = vec![
            (Section::Home, "/", "Home"),
            (Section::Queue, "/queue", "Queue"),
        ];
        if self.viewer.is_some() {
            sections.push((Section::Mine, "/mine", "Mine"));
        }
        sections.push((Section::Channels, "/channels", "Channels"));
        sections.push((Section::Issues, "/issues", "Published"));
        sections.push((Section::Activity, "/activity", "Activity"));
        sections
    }
}
