//! Pages: a view and its frame, written as HTML. Every string passes the escaper of the report's pages.

use std::collections::HashMap;

use askama::Template;
use snowguard_tracker::view::{
    Activity, Advisory, AdvisoryRef, Bucket, Channel, Channels, Data, Evidence, Finding, Grouping,
    HitKind, Home, Issue, IssuePackage, Issues, Maintainer, MemoryVerdict, Package, People, Queue,
    Rating, Rules, Search, Settings, State, Subscription, Subscriptions,
};

use crate::chart::{Bars, Ladder, Trend};
use crate::frame::Frame;
use crate::{href, words};

/// What may be decided on a page.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a part of the form that is there or not"
)]
pub struct Form {
    /// What shows that the form is from the viewer's own page.
    pub csrf: String,
    /// Who looks.
    pub login: String,
    /// The states to choose from.
    pub choices: Vec<State>,
    /// The one that is chosen already.
    pub selected: Option<State>,
    /// Whether it is about several findings.
    pub many: bool,
    /// Whether somebody looks after it.
    pub assigned: bool,
    /// Whether it may be given to others.
    pub gives: bool,
    /// Whether what is confirmed may be published.
    pub publish: bool,
}

/// A page could not be written: a defect of its template.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the page")]
pub struct PageError(#[from] askama::Error);

type Written = Result<String, PageError>;

/// The first page.
pub fn home(frame: &Frame, view: &Home) -> Written {
    #[derive(Template)]
    #[template(path = "home.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Home,
        bars: Bars,
        trend: Option<Trend>,
    }
    written(&Page {
        frame,
        view,
        bars: Bars::of(&view.severity, "/queue?"),
        trend: Trend::of(&view.trend),
    })
}

/// The queue.
pub fn queue(frame: &Frame, view: &Queue) -> Written {
    #[derive(Template)]
    #[template(path = "queue.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Queue,
    }
    written(&Page { frame, view })
}

/// An advisory, with the form for its packages where the viewer may decide.
pub fn advisory(frame: &Frame, view: &Advisory, form: Option<&Form>) -> Written {
    #[derive(Template)]
    #[template(path = "advisory.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Advisory,
        form: Option<&'a Form>,
        reference: AdvisoryRef,
    }
    written(&Page {
        frame,
        view,
        form,
        reference: AdvisoryRef {
            name: view.name.clone(),
            title: None,
            rating: view.rating,
            score: view.score,
            exploited: view.exploited,
        },
    })
}

/// A package, with the form for its findings where the viewer may decide.
pub fn package(frame: &Frame, view: &Package, form: Option<&Form>) -> Written {
    #[derive(Template)]
    #[template(path = "package.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Package,
        form: Option<&'a Form>,
        ladder: Ladder,
    }
    written(&Page {
        frame,
        view,
        form,
        ladder: Ladder::of_package(&view.verdicts),
    })
}

/// A finding with its evidence, and the form where the viewer may decide.
pub fn finding(frame: &Frame, view: &Finding, form: Option<&Form>) -> Written {
    #[derive(Template)]
    #[template(path = "finding.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Finding,
        form: Option<&'a Form>,
        form_note: &'static str,
        verdict: String,
        ladder: Ladder,
        evidence: Vec<Said<'a>>,
    }
    written(&Page {
        frame,
        view,
        form,
        evidence: grouped(&view.evidence),
        form_note: if frame.viewer.is_some() {
            "Its maintainers and the security team can decide on it."
        } else {
            "Log in to decide: its maintainers and the security team can."
        },
        verdict: words::verdict(&view.row),
        ladder: Ladder::of_finding(&view.row.channels, frame.now),
    })
}

/// What a record says, of all versions of which it says the same.
struct Said<'v> {
    evidence: &'v Evidence,
    versions: String,
}

/// Puts together what differs in the version only: a kernel has dozens, and each record speaks of most.
fn grouped(all: &[Evidence]) -> Vec<Said<'_>> {
    let mut places: HashMap<Words<'_>, usize> = HashMap::new();
    let mut grouped: Vec<(&Evidence, Vec<&str>)> = Vec::new();
    for one in all {
        let place = *places.entry(words_of(one)).or_insert(grouped.len());
        match grouped.get_mut(place) {
            Some((_, versions)) if versions.contains(&&*one.version) => {}
            Some((_, versions)) => versions.push(&one.version),
            None => grouped.push((one, vec![&one.version])),
        }
    }
    let said = grouped.into_iter().map(|(evidence, versions)| Said {
        evidence,
        versions: versions.join(", "),
    });
    said.collect()
}

type Words<'v> = ([&'v str; 8], Option<&'v str>, [bool; 2]);

/// All that a record says but for the version.
fn words_of(one: &Evidence) -> Words<'_> {
    let texts = [
        &one.record,
        &one.source,
        &one.product,
        &one.identity,
        &one.target,
        &one.range,
        &one.order,
        &one.says,
    ];
    let flags = [one.upstream, one.identity_sure];
    (texts.map(|text| &**text), one.by.as_deref(), flags)
}

/// A maintainer or a team.
pub fn maintainer(frame: &Frame, view: &Maintainer) -> Written {
    #[derive(Template)]
    #[template(path = "maintainer.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Maintainer,
    }
    written(&Page { frame, view })
}

/// All channels.
pub fn channels(frame: &Frame, view: &Channels) -> Written {
    #[derive(Template)]
    #[template(path = "channels.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Channels,
    }
    written(&Page { frame, view })
}

/// One channel, with the form that leaves it out or takes it in where the viewer may.
pub fn channel(frame: &Frame, view: &Channel, may_drop: bool) -> Written {
    #[derive(Template)]
    #[template(path = "channel.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Channel,
        may_drop: bool,
        bars: Bars,
    }
    written(&Page {
        frame,
        view,
        may_drop,
        bars: Bars::of(
            &view.severity,
            &format!("/queue?channel={}&", href::query(&view.summary.name)),
        ),
    })
}

/// What is published.
pub fn issues(frame: &Frame, view: &Issues) -> Written {
    #[derive(Template)]
    #[template(path = "issues.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Issues,
    }
    written(&Page { frame, view })
}

/// One issue; with what shows that a form is from the viewer's own page, where they may change it.
pub fn issue(frame: &Frame, view: &Issue, csrf: Option<&str>) -> Written {
    #[derive(Template)]
    #[template(path = "issue.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Issue,
        csrf: Option<&'a str>,
        packages: &'a [IssuePackage],
    }
    written(&Page {
        frame,
        view,
        csrf,
        packages: &view.packages,
    })
}

/// The words of an issue that is to be published or edited.
#[derive(Clone, Debug)]
pub struct Writing<'a> {
    /// Where the form is sent.
    pub action: &'a str,
    /// What the form says beside the words.
    pub fields: &'a [(&'a str, String)],
    /// What shows that the form is from the viewer's own page.
    pub csrf: &'a str,
    /// The advisory.
    pub advisory: &'a AdvisoryRef,
    /// The issue, if it is published already.
    pub issue: Option<&'a str>,
    /// The title.
    pub title: &'a str,
    /// The text, in Markdown.
    pub text: &'a str,
    /// The packages about which something was decided.
    pub packages: &'a [IssuePackage],
    /// What is wrong with the words.
    pub error: Option<&'a str>,
}

/// The form with which an advisory is published, or an issue edited, with how it will look.
pub fn writing(frame: &Frame, view: &Writing<'_>) -> Written {
    #[derive(Template)]
    #[template(path = "writing.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Writing<'a>,
        packages: &'a [IssuePackage],
    }
    written(&Page {
        frame,
        view,
        packages: view.packages,
    })
}

/// A rule as it is being written.
#[derive(Clone, Debug, Default)]
pub struct RuleDraft {
    /// The product.
    pub product: String,
    /// Whether the package is said to be it.
    pub accept: bool,
    /// Only in this channel.
    pub channel: String,
    /// Until which day.
    pub expires: String,
    /// Why.
    pub reason: String,
}

/// The rules about a package; with what shows that a form is from the viewer's own page, where they may
/// make rules, and what they have written so far.
pub fn rules(
    frame: &Frame,
    view: &Rules,
    csrf: Option<&str>,
    draft: &RuleDraft,
    error: Option<&str>,
) -> Written {
    #[derive(Template)]
    #[template(path = "rules.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Rules,
        csrf: Option<&'a str>,
        draft: &'a RuleDraft,
        error: Option<&'a str>,
    }
    written(&Page {
        frame,
        view,
        csrf,
        draft,
        error,
    })
}

/// What was found.
pub fn search(frame: &Frame, view: &Search) -> Written {
    #[derive(Template)]
    #[template(path = "search.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Search,
    }
    written(&Page { frame, view })
}

/// What was done.
pub fn activity(frame: &Frame, view: &Activity) -> Written {
    #[derive(Template)]
    #[template(path = "activity.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Activity,
    }
    written(&Page { frame, view })
}

/// Where the data is from.
pub fn data(frame: &Frame, view: &Data) -> Written {
    #[derive(Template)]
    #[template(path = "data.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Data,
    }
    written(&Page { frame, view })
}

/// One's own settings, perhaps with a token that was just made.
pub fn settings(frame: &Frame, view: &Settings, csrf: &str, fresh: Option<&str>) -> Written {
    #[derive(Template)]
    #[template(path = "settings.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Settings,
        csrf: &'a str,
        fresh: Option<&'a str>,
    }
    written(&Page {
        frame,
        view,
        csrf,
        fresh,
    })
}

/// One's own subscriptions, with the secrets of those that are webhooks.
pub fn subscriptions(
    frame: &Frame,
    view: &Subscriptions,
    csrf: &str,
    secrets: &[(i64, String)],
) -> Written {
    #[derive(Template)]
    #[template(path = "subscriptions.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a Subscriptions,
        csrf: &'a str,
        secrets: &'a [(i64, String)],
    }
    written(&Page {
        frame,
        view,
        csrf,
        secrets,
    })
}

/// How far somebody is who follows the link of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agree {
    /// They are asked whether they want letters.
    Ask,
    /// They want them.
    Agreed,
    /// They are asked whether they want no more of them.
    AskEnd,
    /// They want no more of them.
    Ended,
}

/// The page to which a letter leads; `of` is the subscription, if it is not ended.
pub fn agree(frame: &Frame, token: &str, of: Option<&Subscription>, state: Agree) -> Written {
    #[derive(Template)]
    #[template(path = "agree.html")]
    struct Page<'a> {
        frame: &'a Frame,
        token: &'a str,
        of: Option<&'a Subscription>,
        state: Agree,
    }
    written(&Page {
        frame,
        token,
        of,
        state,
    })
}

/// People and their roles.
pub fn people(frame: &Frame, view: &People, csrf: &str) -> Written {
    #[derive(Template)]
    #[template(path = "people.html")]
    struct Page<'a> {
        frame: &'a Frame,
        view: &'a People,
        csrf: &'a str,
    }
    written(&Page { frame, view, csrf })
}

/// The way in.
pub fn login(frame: &Frame, github: bool, back: &str, error: Option<&str>) -> Written {
    #[derive(Template)]
    #[template(path = "login.html")]
    struct Page<'a> {
        frame: &'a Frame,
        github: bool,
        back: &'a str,
        error: Option<&'a str>,
    }
    written(&Page {
        frame,
        github,
        back,
        error,
    })
}

/// What went wrong: what, with which thing, and what to do.
pub fn error(frame: &Frame, title: &str, text: &str, hint: Option<&str>, request: &str) -> Written {
    #[derive(Template)]
    #[template(path = "error.html")]
    struct Page<'a> {
        frame: &'a Frame,
        title: &'a str,
        text: &'a str,
        hint: Option<&'a str>,
        request: &'a str,
    }
    written(&Page {
        frame,
        title,
        text,
        hint,
        request,
    })
}

/// How programs ask: the addresses, and what each answers; and what they may send, with the scope for it.
pub fn api(frame: &Frame, paths: &[(String, &str)], forms: &[(String, &str, &str)]) -> Written {
    #[derive(Template)]
    #[template(path = "api.html")]
    struct Page<'a> {
        frame: &'a Frame,
        paths: &'a [(String, &'a str)],
        forms: &'a [(String, &'a str, &'a str)],
    }
    written(&Page {
        frame,
        paths,
        forms,
    })
}

fn written(page: &impl Template) -> Written {
    Ok(page.render()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_says_of_several_versions_stands_once() {
        let said = |version: &str, range: &str| Evidence {
            record: "CVE-2026-0001".into(),
            source: "nvd".into(),
            by: None,
            upstream: false,
            product: "linux:linux-kernel".into(),
            identity: "its name".into(),
            identity_sure: true,
            target: "linux:linux-kernel".into(),
            version: version.into(),
            range: range.into(),
            order: String::new(),
            says: "affected".into(),
        };
        let all = [
            said("5.4", "before 6.1"),
            said("5.10", "before 6.1"),
            said("5.4", "from 5"),
            said("5.4", "before 6.1"),
        ];
        let grouped = grouped(&all);
        let told: Vec<_> = grouped
            .iter()
            .map(|said| (&*said.versions, &*said.evidence.range))
            .collect();
        assert_eq!(told, [("5.4, 5.10", "before 6.1"), ("5.4", "from 5")]);
    }
}
