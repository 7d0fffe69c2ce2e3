//! Every page, written from views that are made up: what it weighs, how it fits, and what it lets through.

use snowguard_testkit::browser::{Browser, Page, View};
use snowguard_testkit::web::Web;
use snowguard_tracker::view::Grouping;
use snowguard_web::frame::Section;
use snowguard_web::page;

use crate::fixture;

/// Every page by its path, for somebody who may decide and for somebody who only reads.
pub(crate) fn pages() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for viewer in [true, false] {
        let form = viewer.then(|| fixture::form(false));
        let many = viewer.then(|| fixture::form(true));
        let at = |section, path: &str| fixture::frame(section, path, viewer);
        let who = if viewer { "" } else { "reader-" };
        let mut add = |name: &str, html: Result<String, page::PageError>| {
            pages.push((format!("/{who}{name}"), html.unwrap()));
        };
        add(
            "home",
            page::home(&at(Section::Home, "/"), &fixture::home()),
        );
        add(
            "queue",
            page::queue(
                &at(Section::Queue, "/queue"),
                &fixture::queue(Grouping::Advisory),
            ),
        );
        add(
            "queue-package",
            page::queue(
                &at(Section::Queue, "/queue"),
                &fixture::queue(Grouping::Package),
            ),
        );
        add(
            "advisory",
            page::advisory(
                &at(Section::Other, "/advisories/X"),
                &fixture::advisory(),
                many.as_ref(),
            ),
        );
        add(
            "package",
            page::package(
                &at(Section::Other, "/packages/openssl"),
                &fixture::package(),
                many.as_ref(),
            ),
        );
        add(
            "finding",
            page::finding(
                &at(Section::Other, "/packages/a/b"),
                &fixture::finding(),
                form.as_ref(),
            ),
        );
        add(
            "maintainer",
            page::maintainer(
                &at(Section::Mine, "/maintainers/alice"),
                &fixture::maintainer(),
            ),
        );
        add(
            "channels",
            page::channels(
                &at(Section::Channels, "/channels"),
                &snowguard_tracker::view::Channels {
                    channels: fixture::summaries(),
                },
            ),
        );
        add(
            "channel",
            page::channel(
                &at(Section::Channels, "/channels/x"),
                &fixture::channel(),
                viewer,
            ),
        );
        add(
            "search",
            page::search(&at(Section::Other, "/search?q=openssl"), &fixture::search()),
        );
        add(
            "activity",
            page::activity(&at(Section::Activity, "/activity"), &fixture::activity()),
        );
        add(
            "issues",
            page::issues(&at(Section::Issues, "/issues"), &fixture::issues()),
        );
        let issue = fixture::issue();
        add(
            "issue",
            page::issue(
                &at(Section::Issues, "/issues/x"),
                &issue,
                viewer.then_some("c"),
            ),
        );
        if viewer {
            let writing = page::Writing {
                action: "/publish",
                fields: &[("advisory", issue.advisory.name.clone())],
                csrf: "c",
                advisory: &issue.advisory,
                issue: None,
                title: &issue.title,
                text: issue.text.as_deref().unwrap(),
                packages: &issue.packages,
                error: Some("a title has at most 200 characters"),
            };
            let paths = [("/api/v1/home".to_owned(), "What needs action now")];
            let forms = [("/api/v1/decide".to_owned(), "triage", "Decides on findings")];
            add(
                "api",
                page::api(&at(Section::Other, "/api"), &paths, &forms),
            );
            add(
                "publish",
                page::writing(&at(Section::Other, "/advisories/x/publish"), &writing),
            );
        }
        add(
            "data",
            page::data(&at(Section::Other, "/data"), &fixture::data()),
        );
        let draft = page::RuleDraft {
            product: "puppet:openssl".into(),
            ..page::RuleDraft::default()
        };
        add(
            "rules",
            page::rules(
                &at(Section::Other, "/rules/openssl"),
                &fixture::rules(viewer),
                viewer.then_some("c"),
                &draft,
                viewer.then_some("a rule needs a reason: a fact that somebody else can check"),
            ),
        );
        let all = fixture::subscriptions();
        for (name, state) in [
            ("letters-ask", page::Agree::Ask),
            ("letters-agreed", page::Agree::Agreed),
            ("letters-end", page::Agree::AskEnd),
            ("letters-ended", page::Agree::Ended),
        ] {
            let of = Some(&all.subscriptions[0]).filter(|_| state != page::Agree::Ended);
            let frame = at(Section::Other, "/subscriptions/confirm");
            add(name, page::agree(&frame, "1.ab", of, state));
        }
        if viewer {
            let secret = (2, format!("whsec_{}", "q83v".repeat(11)));
            add(
                "subscriptions",
                page::subscriptions(&at(Section::Other, "/subscriptions"), &all, "c", &[secret]),
            );
            add(
                "settings",
                page::settings(
                    &at(Section::Other, "/settings"),
                    &fixture::settings(),
                    "c",
                    Some("sgt_0123456789abcdef"),
                ),
            );
            add(
                "people",
                page::people(&at(Section::Other, "/admin"), &fixture::people(), "c"),
            );
        } else {
            add(
                "login",
                page::login(&at(Section::Other, "/login"), false, "/", None),
            );
            add(
                "login-github",
                page::login(
                    &at(Section::Other, "/login"),
                    true,
                    "/",
                    Some("GitHub did not let you in."),
                ),
            );
            add(
                "error",
                page::error(
                    &at(Section::Other, "/x"),
                    "Nothing is here",
                    "There is no package `x`.",
                    Some("Search for it by another name."),
                    "01JD",
                ),
            );
        }
    }
    pages
}

/// A server that has all of them.
fn serve(pages: &[(String, String)]) -> Web {
    let web = Web::start().unwrap();
    for (path, html) in pages {
        web.put_with(
            path,
            html.as_bytes(),
            &[("Content-Type", "text/html; charset=utf-8")],
            None,
        );
    }
    for file in snowguard_web::assets().files() {
        web.put_with(
            &file.path,
            file.bytes.clone(),
            &[("Content-Type", file.media_type)],
            None,
        );
    }
    web
}

/// What stands out to the right of the window, with its text.
const TOO_WIDE: &str = "[...document.body.querySelectorAll('*')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.skip, .unseen, thead') && getComputedStyle(e).display !== 'inline')
    .map(e => e.localName + '.' + e.className + ': ' + e.textContent.slice(0, 60))";

fn list(page: &mut Page<'_>, expression: &str) -> Vec<String> {
    let found = page.evaluate(expression).unwrap();
    let found = found.as_array().unwrap();
    found
        .iter()
        .map(|one| one.as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn every_page_is_quiet_and_fits() {
    let pages = pages();
    let web = serve(&pages);
    let mut browser = Browser::start().unwrap();
    for (path, html) in &pages {
        assert!(html.len() < 100_000, "{path} weighs {}", html.len());
        for view in [View::DESK, View::PHONE, View::PHONE.without_script()] {
            let mut page = browser.open(&web.url(path), view).unwrap();
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                .unwrap();
            let wide = list(&mut page, TOO_WIDE);
            assert!(wide.is_empty(), "{path} at {}: {wide:#?}", view.width);
            let scrolls = page
                .evaluate("document.documentElement.scrollWidth > innerWidth")
                .unwrap();
            assert_eq!(scrolls, false, "{path} at {}", view.width);
            let complaints = page.complaints().unwrap();
            assert!(complaints.is_empty(), "{path}: {complaints:?}");
            let others = page.requests().unwrap();
            let base = web.base();
            // Browsers draw their own controls from `data:`.
            assert!(
                others
                    .iter()
                    .all(|url| url.starts_with(&base) || url.starts_with("data:")),
                "{path}: {others:?}"
            );
        }
    }
}

/// Text of less contrast than WCAG asks for, with what it has.
const TOO_FAINT: &str = r"(() => {
  const parse = c => (c.match(/[\d.]+/g) || []).map(Number);
  const lum = ([r, g, b]) => { const f = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const out = [];
  for (const e of document.body.querySelectorAll('*')) {
    if (e.closest('svg, .unseen, .skip') || !e.offsetParent) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [lum(parse(getComputedStyle(e).color)), lum(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) out.push(`${e.localName}.${e.className} ${ratio.toFixed(2)}: ${e.textContent.slice(0, 40)}`);
  }
  return out;
})()";

#[test]
fn every_text_can_be_read_and_every_field_has_a_name() {
    let pages = pages();
    let web = serve(&pages);
    let mut browser = Browser::start().unwrap();
    for (path, _) in &pages {
        for view in [View::DESK, View::DESK.dark()] {
            let mut page = browser.open(&web.url(path), view).unwrap();
            let faint = list(&mut page, TOO_FAINT);
            assert!(faint.is_empty(), "{path} {:?}: {faint:#?}", view.colors);
            let nameless = list(
                &mut page,
                "[...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a')]
                    .filter(e => !(e.labels?.length || e.ariaLabel || e.textContent.trim()))
                    .map(e => e.outerHTML)",
            );
            assert!(nameless.is_empty(), "{path}: {nameless:#?}");
            let heads = page
                .evaluate("document.querySelectorAll('h1').length")
                .unwrap();
            assert_eq!(heads, 1, "{path}");
            let twice = list(
                &mut page,
                "[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, at, all) => all.indexOf(id) !== at)",
            );
            assert!(twice.is_empty(), "{path}: {twice:?}");
        }
    }
}

#[test]
fn others_text_is_neither_markup_nor_obeyed() {
    let nasty = "<script>alert(1)</script>\u{202e}\u{1b}[31m\"'&amp;";
    let mut view = fixture::finding();
    view.row.package.name = nasty.into();
    view.row.package.key = nasty.into();
    view.row.advisory.name = nasty.into();
    view.row.advisory.title = Some(nasty.into());
    view.row.why = nasty.into();
    for evidence in &mut view.evidence {
        evidence.product = nasty.into();
        evidence.range = nasty.into();
    }
    let frame = fixture::frame(Section::Other, nasty, true);
    let mut advisory = fixture::advisory();
    advisory.description = Some(nasty.into());
    advisory.references[0].url = nasty.into();
    advisory.findings = vec![view.row.clone()];
    for html in [
        page::finding(&frame, &view, Some(&fixture::form(false))).unwrap(),
        page::advisory(&frame, &advisory, Some(&fixture::form(true))).unwrap(),
    ] {
        assert_eq!(
            html.matches("<script").count(),
            1,
            "the only script is ours"
        );
        let steering =
            |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
        assert_eq!(html.chars().find(|c| steering(*c)), None);
        for attribute in [" style=\"", " onclick", " onload", "href=\"javascript:"] {
            assert!(!html.contains(attribute), "{attribute}");
        }
    }
}

/// Writes pictures of every page to `target/pictures`, to be looked at.
#[test]
#[ignore = "makes pictures for people; nothing is asserted that the other tests do not"]
#[expect(clippy::disallowed_methods, reason = "pictures are files")]
fn pictures() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&directory).unwrap();
    let pages = pages();
    let web = serve(&pages);
    let mut browser = Browser::start().unwrap();
    for (path, _) in &pages {
        for (name, view) in [
            ("desk", View::DESK),
            ("phone", View::PHONE),
            ("desk-dark", View::DESK.dark()),
            ("phone-dark", View::PHONE.dark()),
        ] {
            let mut page = browser.open(&web.url(path), view).unwrap();
            let picture = page.screenshot(true).unwrap();
            std::fs::write(
                directory.join(format!("{}-{name}.png", &path[1..])),
                picture,
            )
            .unwrap();
        }
    }
}
