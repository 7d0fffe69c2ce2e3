//! What came of verifying: `snowguard fod verify`, for people and tools.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use askama::Template;
use serde::Serialize;
use snowguard_fod::outcome::{Attempt, Outcome, Verdict};
use snowguard_fod::{Fod, Plan};
use unicode_width::UnicodeWidthStr as _;

use super::egress::Egress;
use super::listing::Row;
use super::text::{depend, fixed_output};
use crate::escape::{fit, line};
use crate::html::{BASE_STYLE, hash};
use crate::text::{Paint, number, wrap};
use crate::words::counted;

/// How many of one verdict are shown before it says how many more there are.
const FIRST: usize = 20;
/// How many the page shows of one verdict.
const ROWS: usize = 200;
/// The longest word that is shown whole, in bytes.
const LONGEST: usize = 300;
/// How many addresses of one are shown.
const TRIES: usize = 6;

/// What came of verifying.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// `snowguard-fod-verify/1`.
    pub schema: &'static str,
    /// What was looked at.
    pub subject: String,
    /// How many fixed-output derivations there are in it, also those that were not asked for.
    pub fixed_output: usize,
    /// How many have each verdict.
    pub verdicts: BTreeMap<&'static str, usize>,
    /// Each, the worst first.
    pub fods: Vec<Verified>,
    /// How it was fetched; none if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
    /// What could not be known.
    pub gaps: Vec<String>,
}

/// What came of one.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// The name of its output.
    pub name: String,
    /// The derivation.
    pub drv: String,
    /// The store path of its output.
    pub output: String,
    /// What is hashed: `flat`, `nar`, `git`, `text`.
    pub mode: &'static str,
    /// What is promised, as SRI.
    pub hash: String,
    /// How it is verified: `file`, `executable`, `nar`, `unpack`, `git`, `build`, `nothing`, `manual`.
    pub way: &'static str,
    /// Why so.
    pub why: String,
    /// What came of it; none if only the plan was asked for.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When; in the queue, that may be a while ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
    /// Whether an earlier run found that, or another worker of the same queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub earlier: bool,
    /// Where it is fetched from, mirrors resolved.
    pub urls: Vec<String>,
    /// How many derivations need it, directly or not.
    pub dependents: usize,
    /// The names of some that need it themselves.
    pub needed_by: Vec<String>,
    /// The nearest attributes of a package set.
    pub attributes: Vec<String>,
    /// Where the first of these is defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
}

impl Verified {
    /// Of a row of the list and the facts behind it.
    pub fn of(
        row: &Row,
        fod: &Fod,
        outcome: Option<Outcome>,
        (checked, earlier): (Option<String>, bool),
    ) -> Self {
        Self {
            name: row.name.clone(),
            drv: row.drv.clone(),
            output: row.output.clone(),
            mode: row.mode,
            hash: row.hash.clone(),
            way: fod.plan.as_str(),
            why: why(fod),
            outcome,
            checked,
            earlier,
            urls: row.urls.clone(),
            dependents: row.dependents,
            needed_by: row.needed_by.clone(),
            attributes: row.attributes.clone(),
            position: row.position.clone(),
        }
    }

    fn verdict(&self) -> Option<Verdict> {
        self.outcome.as_ref().map(|outcome| outcome.verdict)
    }
}

/// Why it is verified in that way. That what comes is all that its script would put into the store is known of the
/// fetchers of Nixpkgs, and a script is known here by its path alone.
fn why(fod: &Fod) -> String {
    let why = fod.plan.why();
    if matches!(fod.plan, Plan::Fetch(_)) && !fod.scripts.is_empty() {
        format!("{why}; its script was not read")
    } else {
        why
    }
}

impl Verification {
    /// Counts and sorts.
    pub fn new(
        subject: String,
        fixed_output: usize,
        mut fods: Vec<Verified>,
        gaps: Vec<String>,
    ) -> Self {
        let mut verdicts = BTreeMap::new();
        for verdict in fods.iter().filter_map(Verified::verdict) {
            *verdicts.entry(verdict.as_str()).or_default() += 1;
        }
        let place = |fod: &Verified| {
            let verdict = fod.verdict();
            Verdict::ALL
                .iter()
                .position(|known| Some(*known) == verdict)
        };
        fods.sort_by(|a, b| {
            let (left, right) = (place(a), place(b));
            left.cmp(&right)
                .then(b.dependents.cmp(&a.dependents))
                .then_with(|| (&a.name, &a.drv).cmp(&(&b.name, &b.drv)))
        });
        Self {
            schema: "snowguard-fod-verify/1",
            subject,
            fixed_output,
            verdicts,
            fods,
            egress: None,
            gaps,
        }
    }

    /// Whether any has one of these verdicts.
    pub fn has_any(&self, of: &[Verdict]) -> bool {
        let mut verdicts = self.fods.iter().filter_map(Verified::verdict);
        verdicts.any(|verdict| of.contains(&verdict))
    }

    fn of_verdict(&self, verdict: Verdict) -> Vec<&Verified> {
        let with = self.fods.iter();
        with.filter(|fod| fod.verdict() == Some(verdict)).collect()
    }
}

/// For a terminal.
pub fn verified(verification: &Verification, paint: Paint, width: usize, all: bool) -> String {
    let width = width.clamp(60, 160);
    let mut out = String::new();
    let title = title(verification);
    let _ = writeln!(out, "{}", paint.heading(&fit(&title, width)));
    if verification.fods.is_empty() {
        wrap(
            &mut out,
            2,
            "0 verified: there is no fixed-output derivation",
            width,
        );
    } else if verification.verdicts.is_empty() {
        plans(&mut out, verification, paint, width, all);
    } else {
        let counts: Vec<String> = Verdict::ALL
            .into_iter()
            .rev()
            .filter_map(|verdict| {
                let count = verification.verdicts.get(verdict.as_str())?;
                Some(format!("{} {verdict}", number(*count)))
            })
            .collect();
        let ok = verification.verdicts.get(Verdict::Ok.as_str());
        let text = format!(
            "{} verified: {}",
            number(ok.copied().unwrap_or(0)),
            counts.join(", ")
        );
        wrap(&mut out, 2, &text, width);
        if let Some(text) = of_earlier(&verification.fods) {
            wrap(&mut out, 2, &text, width);
        }
    }
    // That it is direct is what is meant where nobody asked for the proxy.
    if let Some(egress @ Egress::Proxy { .. }) = &verification.egress {
        wrap(&mut out, 2, &egress.sentence(), width);
    }
    for verdict in Verdict::ALL {
        let with = verification.of_verdict(verdict);
        if with.is_empty() || (verdict == Verdict::Ok && !all) {
            continue;
        }
        let _ = writeln!(
            out,
            "\n{}",
            paint.heading(&verdict.as_str().to_uppercase().replace('-', " "))
        );
        let text = match verdict.remedy() {
            "" => verdict.what().to_owned(),
            remedy => format!("{}; {remedy}", verdict.what()),
        };
        wrap(&mut out, 2, &text, width);
        let shown = if all { with.len() } else { FIRST };
        for fod in with.iter().take(shown) {
            one(&mut out, fod, paint, width);
        }
        if with.len() > shown {
            let more = format!(
                "  and {} more (--all shows them)",
                number(with.len() - shown)
            );
            let _ = writeln!(out, "{}", paint.quiet(&more));
        }
    }
    for gap in &verification.gaps {
        let _ = writeln!(out, "{}", paint.quiet(&format!("note: {}", line(gap))));
    }
    out
}

/// How many were found by others or before, and since when.
fn of_earlier(fods: &[Verified]) -> Option<String> {
    let earlier: Vec<&Verified> = fods.iter().filter(|fod| fod.earlier).collect();
    let oldest = earlier
        .iter()
        .filter_map(|fod| fod.checked.as_deref())
        .min()?;
    Some(format!(
        "{} found by an earlier run or another worker, the oldest on {}",
        counted(earlier.len(), "of these was", "of these were"),
        day(oldest)
    ))
}

/// The day of a time.
fn day(time: &str) -> Cow<'_, str> {
    line(time.split('T').next().unwrap_or(time))
}

fn title(verification: &Verification) -> String {
    let some = if verification.fods.len() < verification.fixed_output {
        format!("{} of ", number(verification.fods.len()))
    } else {
        String::new()
    };
    format!(
        "{some}{} in {}",
        fixed_output(verification.fixed_output),
        line(&verification.subject)
    )
}

/// How each would be verified.
fn plans(out: &mut String, verification: &Verification, paint: Paint, width: usize, all: bool) {
    let mut ways: BTreeMap<(&str, &str), Vec<&Verified>> = BTreeMap::new();
    for fod in &verification.fods {
        ways.entry((fod.way, &fod.why)).or_default().push(fod);
    }
    let mut ways: Vec<_> = ways.into_iter().collect();
    ways.sort_by_key(|(_, fods)| std::cmp::Reverse(fods.len()));
    for ((way, why), fods) in ways {
        let left = format!("  {:>7}  {way:<10}  ", number(fods.len()));
        let text = fit(&line(why), width.saturating_sub(left.width())).into_owned();
        let _ = writeln!(out, "{left}{text}");
        if all {
            for fod in fods {
                let _ = writeln!(
                    out,
                    "           {}",
                    paint.quiet(&fit(&fod.name, width - 11))
                );
            }
        }
    }
}

/// One, with what a person needs to act.
fn one(out: &mut String, fod: &Verified, paint: Paint, width: usize) {
    let right = fod.way;
    let name = fit(&fod.name, width.saturating_sub(right.width() + 4)).into_owned();
    let space = width.saturating_sub(2 + name.width() + right.width());
    let _ = writeln!(
        out,
        "  {}{}{}",
        paint.name(&name),
        " ".repeat(space.max(2)),
        paint.quiet(right)
    );
    let Some(outcome) = &fod.outcome else { return };
    let mut say = |label: &str, text: &str| {
        // What is said in words is not cut: the last of them may matter most.
        if label.is_empty() && text.contains(' ') {
            wrap(out, 14, text, width);
        } else {
            let _ = writeln!(out, "    {label:<9} {}", whole(text, width - 14));
        }
    };
    match outcome.verdict {
        Verdict::Mismatch | Verdict::Redirect if outcome.got.is_some() => {
            say("promised", &fod.hash);
            if let Some(got) = &outcome.got {
                say("got", &got.hash);
                let size = got.size.map(|size| {
                    let size = usize::try_from(size).unwrap_or(usize::MAX);
                    format!("{} bytes", number(size))
                });
                let more: Vec<&str> = size
                    .as_deref()
                    .into_iter()
                    .chain(got.swhid.as_deref())
                    .collect();
                if !more.is_empty() {
                    say("", &more.join(", "));
                }
            }
            if let Some(difference) = &outcome.difference {
                let member = match difference.member.as_str() {
                    "" => "the file",
                    member => member,
                };
                say("differs", &line(member));
                say("was", &line(&difference.was));
                say("is", &line(&difference.is));
            }
        }
        Verdict::Ok => {}
        _ if outcome.tries.is_empty() || outcome.verdict == Verdict::NeedsBuilder => {
            say("why", &line(&outcome.reason));
        }
        _ => {}
    }
    for tried in outcome.tries.iter().take(TRIES) {
        say(attempt(tried.result), &line(&tried.url));
        if let Some(last) = tried.redirects.last() {
            say("", &format!("led to {}", line(last)));
        }
        if !tried.detail.is_empty() && tried.result != Attempt::Mismatch {
            say("", &line(&tried.detail));
        }
    }
    if let Some(checked) = fod.checked.as_deref().filter(|_| fod.earlier) {
        say("found on", &day(checked));
    }
    if outcome.tries.len() > TRIES {
        say(
            "",
            &format!("and {} more", number(outcome.tries.len() - TRIES)),
        );
    }
    let mut whom: Vec<String> = Vec::new();
    if let Some(first) = fod.attributes.first().or(fod.needed_by.first()) {
        whom.push(format!("for {}", line(first)));
    }
    if fod.dependents > 0 {
        whom.push(depend(fod.dependents));
    }
    if let Some(position) = &fod.position {
        whom.push(line(position).into_owned());
    }
    if !whom.is_empty() {
        let _ = writeln!(
            out,
            "    {}",
            paint.quiet(&fit(&whom.join("; "), width - 4))
        );
    }
}

/// A text that is copied is not cut, if it is one word and not beyond all measure.
fn whole(text: &str, width: usize) -> Cow<'_, str> {
    if text.len() <= LONGEST && !text.contains(' ') {
        Cow::Borrowed(text)
    } else {
        fit(text, width)
    }
}

/// An address in one word.
const fn attempt(attempt: Attempt) -> &'static str {
    match attempt {
        Attempt::Ok | Attempt::Mismatch => "from",
        Attempt::Failed => "failed",
        Attempt::Gone => "gone",
        Attempt::Redirect => "redirect",
        Attempt::Tls => "tls",
        Attempt::Denied => "denied",
        Attempt::Transient => "no answer",
        Attempt::Skipped => "not asked",
    }
}

/// As one page that needs nothing but itself, and no script.
pub fn verified_page(verification: &Verification) -> String {
    let style = format!(
        "{BASE_STYLE}{}",
        include_str!("../../templates/html/fod.css")
    );
    let parts = Verdict::ALL
        .into_iter()
        .filter_map(|verdict| {
            let with = verification.of_verdict(verdict);
            (!with.is_empty()).then(|| Part {
                verdict,
                count: with.len(),
                rows: with.into_iter().take(ROWS).collect(),
            })
        })
        .collect();
    Page {
        style_hash: hash(&style),
        style,
        title: title(verification),
        parts,
        gaps: &verification.gaps,
    }
    .to_string()
}

#[derive(Template)]
#[template(path = "html/fod-verify.html")]
struct Page<'v> {
    style: String,
    style_hash: String,
    title: String,
    parts: Vec<Part<'v>>,
    gaps: &'v [String],
}

struct Part<'v> {
    verdict: Verdict,
    count: usize,
    rows: Vec<&'v Verified>,
}

/// The colour of a verdict.
const fn class_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Mismatch | Verdict::Gone => "h",
        Verdict::Redirect | Verdict::Tls | Verdict::Failed | Verdict::Denied => "m",
        _ => "u",
    }
}
