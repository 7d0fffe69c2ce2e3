//! The page in Chromium.

#![expect(
    clippy::disallowed_methods,
    reason = "a browser reads pages from files"
)]

use serde_json::{Value, json};
use snowguard_testkit::browser::{Browser, Page, View};
use tempfile::TempDir;

use super::made;
use crate::support::{self, Scanned};

/// A page as a file.
struct File {
    _directory: TempDir,
    url: String,
}

impl File {
    fn of(scanned: &Scanned) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.html");
        std::fs::write(&path, made(scanned)).unwrap();
        Self {
            url: format!("file://{}", path.display()),
            _directory: directory,
        }
    }

    fn at(&self, fragment: &str) -> String {
        format!("{}{fragment}", self.url)
    }
}

fn list(page: &mut Page<'_>, expression: &str) -> Vec<String> {
    let Value::Array(values) = page.evaluate(expression).unwrap() else {
        panic!("{expression} is no list");
    };
    values
        .iter()
        .map(|value| value.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// The names of the packages that are seen, in order.
fn packages(page: &mut Page<'_>) -> Vec<String> {
    list(
        page,
        "[...document.querySelectorAll('table.list > tbody:not(.more)')].filter(b => b.offsetParent).map(b => b.querySelector('b').textContent)",
    )
}

/// The headings of the sections that are seen.
fn sections(page: &mut Page<'_>) -> Vec<String> {
    list(
        page,
        "[...document.querySelectorAll('main [data-section]')].filter(s => s.offsetParent).map(s => s.dataset.section)",
    )
}

const EVERYTHING_OPEN: &str = "document.querySelectorAll('details').forEach(d => d.open = true)";

/// What stands out to the right of the window, with its text.
const TOO_WIDE: &str = "[...document.body.querySelectorAll('*')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.skip') && getComputedStyle(e).display !== 'inline')
    .map(e => e.localName + '.' + e.className + ': ' + e.textContent.slice(0, 60))";

#[test]
fn every_page_is_quiet_and_fits() {
    let mut browser = Browser::start().unwrap();
    for scanned in support::all() {
        let file = File::of(&scanned);
        for view in [
            View::DESK,
            View::PHONE,
            View::PHONE.without_script(),
            View::DESK.printed(),
        ] {
            let mut page = browser.open(&file.url, view).unwrap();
            assert_eq!(page.complaints().unwrap(), Vec::<String>::new());
            let requests = page.requests().unwrap();
            assert!(
                requests
                    .iter()
                    .all(|url| *url == file.url || url.starts_with("data:")),
                "{requests:?}"
            );
            let fits = |page: &mut Page<'_>| {
                let wide = page
                    .evaluate("document.documentElement.scrollWidth - innerWidth")
                    .unwrap();
                assert_eq!(wide, 0, "{view:?}");
                assert_eq!(list(page, TOO_WIDE), Vec::<String>::new(), "{view:?}");
            };
            fits(&mut page);
            // A page with thousands of findings is never open as a whole.
            if page
                .evaluate("document.querySelectorAll('details').length < 500")
                .unwrap()
                == true
            {
                page.evaluate(EVERYTHING_OPEN).unwrap();
                fits(&mut page);
            }
        }
    }
}

#[test]
fn everything_is_reached_without_script() {
    let file = File::of(&support::typical());
    let mut browser = Browser::start().unwrap();
    let mut page = browser
        .open(&file.url, View::DESK.without_script())
        .unwrap();
    assert_eq!(packages(&mut page).len(), 5);
    assert_eq!(
        page.evaluate("document.querySelector('#tools').hidden")
            .unwrap(),
        true
    );
    let shown =
        "[...document.querySelectorAll('.body, .ev')].filter(e => e.checkVisibility()).length";
    assert_eq!(page.evaluate(shown).unwrap(), 0);
    page.evaluate("document.querySelector('table.list details').open = true")
        .unwrap();
    assert_eq!(page.evaluate(shown).unwrap(), 1);
    page.evaluate(EVERYTHING_OPEN).unwrap();
    // With every <details> open, every word of the page is on the screen.
    let hidden = list(
        &mut page,
        "[...document.querySelectorAll('main *')].filter(e => !e.checkVisibility() && e.textContent.trim()
            && !e.closest('#tools, dialog, .bulk, .none, .list > thead') && e.localName !== 'option')
            .map(e => e.localName + ' ' + e.textContent.slice(0, 40))",
    );
    assert_eq!(hidden, Vec::<String>::new());
}

#[test]
fn every_link_within_leads_somewhere() {
    let mut browser = Browser::start().unwrap();
    for scanned in [support::typical(), support::nasty(), support::empty()] {
        let file = File::of(&scanned);
        let mut page = browser
            .open(&file.url, View::DESK.without_script())
            .unwrap();
        let dead = list(
            &mut page,
            "[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))
                .filter(h => h && h.startsWith('#') && h !== '#show=' && !document.getElementById(h.slice(1)))",
        );
        assert_eq!(dead, Vec::<String>::new());
        let twice = list(
            &mut page,
            "[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, at, all) => all.indexOf(id) !== at)",
        );
        assert_eq!(twice, Vec::<String>::new());
        let elsewhere = list(
            &mut page,
            "[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href')).filter(h => !h.startsWith('#') && !h.startsWith('https://'))",
        );
        assert_eq!(elsewhere, Vec::<String>::new());
    }
}

#[test]
fn the_page_can_be_heard() {
    let mut browser = Browser::start().unwrap();
    for scanned in [support::typical(), support::empty()] {
        let file = File::of(&scanned);
        let mut page = browser.open(&file.url, View::DESK).unwrap();
        let levels = page
            .evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].filter(h => !h.closest('dialog')).map(h => Number(h.localName[1]))")
            .unwrap();
        let levels: Vec<u64> = serde_json::from_value(levels).unwrap();
        assert_eq!(levels.first(), Some(&1));
        assert!(
            levels.windows(2).all(|pair| pair[1] <= pair[0] + 1),
            "{levels:?}"
        );
        assert_eq!(
            page.evaluate("document.documentElement.lang").unwrap(),
            "en"
        );
        let nameless = list(
            &mut page,
            "[...document.querySelectorAll('input, select, button, summary, a[href], section, table')]
                .filter(e => !(e.textContent.trim() || e.labels?.length || e.ariaLabel || e.getAttribute('aria-labelledby')))
                .map(e => e.outerHTML)",
        );
        assert_eq!(nameless, Vec::<String>::new());
        let dangling = list(
            &mut page,
            "[...document.querySelectorAll('[aria-labelledby]')].flatMap(e => e.getAttribute('aria-labelledby').split(' '))
                .filter(id => !document.getElementById(id))",
        );
        assert_eq!(dangling, Vec::<String>::new());
    }
}

#[test]
fn the_fragment_is_the_state() {
    let file = File::of(&support::typical());
    let mut browser = Browser::start().unwrap();
    let mut page = browser.open(&file.url, View::DESK).unwrap();
    let all = ["sudo", "linux", "openssl", "curl", "Werkzeug"];
    assert_eq!(packages(&mut page), all);
    assert_eq!(
        sections(&mut page),
        ["affected", "review", "patched", "suppressed"]
    );

    for (fragment, shown) in [
        ("#show=exploited", vec!["sudo", "linux"]),
        ("#sev=critical", vec!["openssl", "curl"]),
        ("#q=openssl", vec!["openssl"]),
        ("#q=cve-2021-3711", vec!["openssl"]),
        ("#q=heap+overflow&sev=critical", vec!["curl"]),
        (
            "#sort=name",
            vec!["curl", "linux", "openssl", "sudo", "Werkzeug"],
        ),
        (
            "#sort=affected",
            vec!["linux", "openssl", "curl", "Werkzeug", "sudo"],
        ),
        (
            "#sort=severity",
            vec!["openssl", "curl", "linux", "Werkzeug", "sudo"],
        ),
        (
            "#sort=needed",
            vec!["openssl", "curl", "sudo", "Werkzeug", "linux"],
        ),
        ("#scope=run-time", vec!["openssl"]),
        ("#show=patched", vec![]),
        ("#nonsense=1&sort=nothing&show=", all.to_vec()),
    ] {
        page.navigate(&file.at(fragment)).unwrap();
        page.evaluate("new Promise(done => setTimeout(done, 50))")
            .unwrap();
        assert_eq!(packages(&mut page), shown, "{fragment} when it changes");
    }
    // Sections of which nothing fits step aside.
    page.navigate(&file.at("#q=harfbuzz")).unwrap();
    page.evaluate("new Promise(done => setTimeout(done, 50))")
        .unwrap();
    assert_eq!(sections(&mut page), ["affected", "review"]);
    for fragment in ["#show=exploited", "#q=cve-2021-3711&sort=name"] {
        drop(page);
        page = browser.open(&file.at(fragment), View::DESK).unwrap();
        let shown = if fragment.contains("q=") {
            vec!["openssl"]
        } else {
            vec!["sudo", "linux"]
        };
        assert_eq!(packages(&mut page), shown, "{fragment} from the start");
    }
    let one = "[...document.querySelectorAll('#in-openssl-1\\\\.1\\\\.1g .f')].filter(f => !f.hidden).length";
    assert_eq!(
        page.evaluate(one).unwrap(),
        1,
        "only the finding that fits is left"
    );
    assert_eq!(
        page.evaluate("document.querySelector('#q').value").unwrap(),
        "cve-2021-3711"
    );
    assert_eq!(
        page.evaluate("document.querySelector('#told').textContent")
            .unwrap(),
        "1 of 5 packages, 1 finding"
    );
    drop(page);

    let mut page = browser.open(&file.at("#show=patched"), View::DESK).unwrap();
    assert_eq!(sections(&mut page), ["patched"]);
    assert_eq!(
        page.evaluate("document.querySelector('[data-section=patched] .all').open")
            .unwrap(),
        true
    );
    drop(page);
    let mut page = browser
        .open(
            &file.at("#open=in-sudo-1.8.31p1,in-curl-7.71.1"),
            View::DESK,
        )
        .unwrap();
    let open = "[...document.querySelectorAll('.list .body')].filter(b => b.offsetParent).map(b => b.parentElement.id)";
    assert_eq!(
        list(&mut page, open),
        ["in-sudo-1.8.31p1", "in-curl-7.71.1"]
    );
}

#[test]
fn the_page_is_worked_by_keys() {
    let file = File::of(&support::typical());
    let mut browser = Browser::start().unwrap();
    let mut page = browser.open(&file.url, View::DESK).unwrap();
    let settle = "new Promise(done => setTimeout(done, 50))";
    let focus = "document.activeElement.innerText.trim()";
    let press = |page: &mut Page<'_>, keys: &[&str]| {
        for key in keys {
            page.press(key).unwrap();
        }
        page.evaluate(settle).unwrap();
    };
    press(&mut page, &["j", "j"]);
    assert_eq!(page.evaluate(focus).unwrap(), "linux 5.4.53");
    press(&mut page, &["k"]);
    assert_eq!(page.evaluate(focus).unwrap(), "sudo 1.8.31p1");
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(
        page.evaluate(outline).unwrap(),
        "solid",
        "the focus is seen"
    );
    press(&mut page, &["Enter"]);
    assert_eq!(
        page.evaluate("location.hash").unwrap(),
        "#open=in-sudo-1.8.31p1"
    );
    press(&mut page, &["j", "j"]);
    assert!(
        page.evaluate(focus)
            .unwrap()
            .as_str()
            .unwrap()
            .contains("CVE-2021-3156"),
        "findings are in the way"
    );

    press(&mut page, &["x"]);
    let selected = "document.querySelector('#bulk').hidden ? '' : document.querySelector('#selected').textContent";
    assert_eq!(page.evaluate(selected).unwrap(), "1 package");
    press(&mut page, &["Escape"]);
    assert_eq!(page.evaluate(selected).unwrap(), "");

    press(&mut page, &["/", "c", "u", "r", "l"]);
    assert_eq!(page.evaluate("document.activeElement.id").unwrap(), "q");
    assert_eq!(packages(&mut page), ["curl"]);
    assert_eq!(
        page.evaluate("location.hash").unwrap(),
        "#q=curl&open=in-sudo-1.8.31p1"
    );
    press(&mut page, &["Escape"]);
    assert_eq!(packages(&mut page).len(), 5);

    press(&mut page, &["?"]);
    assert_eq!(
        page.evaluate("document.querySelector('#help').open")
            .unwrap(),
        true
    );
    press(&mut page, &["Escape"]);
    assert_eq!(
        page.evaluate("document.querySelector('#help').open")
            .unwrap(),
        false
    );
}

#[test]
fn the_page_is_worked_by_hand() {
    let file = File::of(&support::typical());
    let mut browser = Browser::start().unwrap();
    let mut page = browser.open(&file.url, View::DESK).unwrap();
    // A link within the page opens what it leads to and keeps the state.
    page.evaluate("document.querySelector('.todo a').click()")
        .unwrap();
    let open = "[...document.querySelectorAll('.list .body')].filter(b => b.offsetParent).map(b => b.parentElement.id)";
    assert_eq!(list(&mut page, open), ["in-sudo-1.8.31p1"]);
    // A column's head orders by it, and once more takes that back.
    for (order, first) in [("ascending", "curl"), ("", "sudo")] {
        page.evaluate("document.querySelector('th[data-sort=name] button').click()")
            .unwrap();
        let sort = "document.querySelector('th[data-sort=name]').getAttribute('aria-sort') || ''";
        assert_eq!(page.evaluate(sort).unwrap(), order);
        assert_eq!(packages(&mut page)[0], first);
    }
    // A row is opened by a click anywhere on it.
    page.evaluate("document.querySelector('#in-linux-5\\\\.4\\\\.53 td').click()")
        .unwrap();
    page.evaluate("new Promise(done => setTimeout(done, 50))")
        .unwrap();
    assert_eq!(list(&mut page, open).len(), 2);
    // Nothing fits: that is said, with a way out.
    drop(page);
    let mut page = browser
        .open(&file.at("#q=nosuchthing"), View::DESK)
        .unwrap();
    assert_eq!(
        page.evaluate("document.querySelector('.none').offsetParent !== null")
            .unwrap(),
        true
    );
    page.evaluate("document.querySelector('.none a').click()")
        .unwrap();
    page.evaluate("new Promise(done => setTimeout(done, 50))")
        .unwrap();
    assert_eq!(packages(&mut page).len(), 5);
}

#[test]
fn light_dark_and_paper_are_three_designs() {
    let file = File::of(&support::typical());
    let mut browser = Browser::start().unwrap();
    let mut page = browser.open(&file.url, View::DESK).unwrap();
    let ground = "getComputedStyle(document.documentElement).backgroundColor";
    let chip = "getComputedStyle(document.querySelector('.s.c')).backgroundColor";
    assert_eq!(page.evaluate(ground).unwrap(), "rgb(251, 252, 253)");
    assert_eq!(page.evaluate(chip).unwrap(), "rgb(123, 18, 48)");
    page.set_view(View::DESK.dark()).unwrap();
    assert_eq!(page.evaluate(ground).unwrap(), "rgb(15, 22, 28)");
    assert_eq!(page.evaluate(chip).unwrap(), "rgb(255, 161, 147)");
    page.set_view(View::DESK.dark().printed()).unwrap();
    assert_eq!(page.evaluate(ground).unwrap(), "rgb(255, 255, 255)");
    assert_eq!(
        page.evaluate("document.querySelector('#tools').offsetParent")
            .unwrap(),
        Value::Null
    );
    assert!(page.pdf().unwrap().starts_with(b"%PDF"));
}

#[test]
fn the_end_of_a_long_list_is_folded() {
    let file = File::of(&support::large());
    let mut browser = Browser::start().unwrap();
    let unfold = "document.querySelector('.more details').open = true";
    // Without script as well, and a link to what is folded shows it.
    let view = View::DESK.without_script();
    let mut page = browser.open(&file.url, view).unwrap();
    assert_eq!(packages(&mut page).len(), 100);
    let more = "document.querySelector('.more').innerText.trim()";
    assert_eq!(page.evaluate(more).unwrap(), "Show 51 more packages");
    page.evaluate(unfold).unwrap();
    assert_eq!(packages(&mut page).len(), 151);
    let last = page
        .evaluate("'#' + [...document.querySelectorAll('.list > tbody')].at(-1).id")
        .unwrap();
    let last = last.as_str().unwrap();
    drop(page);
    let mut page = browser.open(&file.at(last), view).unwrap();
    assert_eq!(packages(&mut page).len(), 101);
    drop(page);

    // The fold stays where it is in another order, and is none for what was searched.
    let mut page = browser.open(&file.at("#sort=name"), View::DESK).unwrap();
    let shown = packages(&mut page);
    assert_eq!(shown.len(), 100);
    assert!(shown.is_sorted(), "{shown:?}");
    page.navigate(&file.at("#q=package14")).unwrap();
    page.evaluate("new Promise(done => setTimeout(done, 50))")
        .unwrap();
    assert_eq!(packages(&mut page).len(), 11);
}

#[test]
fn thousands_of_findings_are_searched_at_once() {
    let file = File::of(&support::large());
    let mut browser = Browser::start().unwrap();
    let mut page = browser.open(&file.url, View::DESK).unwrap();
    let search = |page: &mut Page<'_>, text: &str| {
        let script = format!(
            "(() => {{ const q = document.querySelector('#q'), start = performance.now();
                q.value = {}; q.dispatchEvent(new Event('input'));
                document.body.offsetHeight; return performance.now() - start; }})()",
            json!(text)
        );
        page.evaluate(&script).unwrap().as_f64().unwrap()
    };
    search(&mut page, "warm");
    let took = search(&mut page, "package149");
    assert_eq!(packages(&mut page), ["package149"]);
    // Far above what it takes, for machines that are busy; what grew quadratic would pass it.
    assert!(took < 3_000.0, "{took} ms");
}
