//! A forge for tests: what of GitHub's REST interface concerns issues, over [`Web`].
//!
//! It keeps what it took although its answer was lost, which is what makes forges hard to use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::web::{Answer, Request, Web};

/// A running forge with one repository, `owner/name`.
pub struct Forge {
    /// The server, for faults and for what was asked of it.
    pub web: Web,
    issues: Arc<Mutex<Vec<Value>>>,
}

/// The token that it takes.
pub const TOKEN: &str = "forge-token";
/// The account of the token.
pub const LOGIN: &str = "tracker-bot";

impl Forge {
    /// Begins to serve.
    pub fn start() -> std::io::Result<Self> {
        let web = Web::start()?;
        let issues: Arc<Mutex<Vec<Value>>> = Arc::default();
        let answering = Arc::clone(&issues);
        let base = web.base();
        web.answer_with(move |request| Some(answer(request, &base, &mut lock(&answering))));
        Ok(Self { web, issues })
    }

    /// All issues, as the interface shows them.
    pub fn issues(&self) -> Vec<Value> {
        lock(&self.issues).clone()
    }

    /// Somebody opens an issue by hand.
    pub fn open_as(&self, login: &str, title: &str, body: &str) {
        let mut issues = lock(&self.issues);
        let number = issues.len() + 1;
        issues.push(issue(&self.web.base(), number, login, title, body));
    }

    /// Somebody edits an issue by hand.
    pub fn edit(&self, number: usize, field: &str, value: Value) {
        if let Some(issue) = lock(&self.issues).get_mut(number.wrapping_sub(1)) {
            issue[field] = value;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn issue(base: &str, number: usize, login: &str, title: &str, body: &str) -> Value {
    json!({
        "number": number,
        "html_url": format!("{base}/owner/name/issues/{number}"),
        "title": title,
        "body": body,
        "state": "open",
        "user": { "login": login },
        "labels": [],
    })
}

fn answer(request: &Request, base: &str, issues: &mut Vec<Value>) -> Answer {
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return Answer::json(401, &json!({ "message": "Bad credentials" }));
    }
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    let missing = || Answer::json(404, &json!({ "message": "Not Found" }));
    let rest = path.strip_prefix("/repos/owner/name/issues");
    match (&*request.method, path, rest) {
        ("GET", "/user", _) => Answer::json(200, &json!({ "login": LOGIN })),
        ("GET", _, Some("")) => {
            let asked = |name: &str| {
                let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
            };
            let page: usize = asked("page").and_then(|p| p.parse().ok()).unwrap_or(1);
            let size: usize = asked("per_page").and_then(|p| p.parse().ok()).unwrap_or(30);
            let listed: Vec<&Value> = issues
                .iter()
                .rev()
                .filter(|issue| asked("creator").is_none_or(|c| issue["user"]["login"] == c))
                .skip(page.saturating_sub(1) * size)
                .take(size)
                .collect();
            Answer::json(200, &json!(listed))
        }
        ("POST", _, Some("")) => {
            let number = issues.len() + 1;
            let mut opened = issue(base, number, LOGIN, &text("title"), &text("body"));
            opened["labels"] = body["labels"].clone();
            issues.push(opened.clone());
            Answer::json(201, &opened)
        }
        (method, _, Some(number)) => {
            let number = number
                .strip_prefix('/')
                .and_then(|n| n.parse::<usize>().ok());
            let found = number.and_then(|n| issues.get_mut(n.wrapping_sub(1)));
            let Some(found) = found.filter(|issue| !issue["deleted"].is_boolean()) else {
                return missing();
            };
            if method == "PATCH" {
                for field in ["title", "body", "state", "state_reason"] {
                    if body[field].is_string() {
                        found[field] = body[field].clone();
                    }
                }
            }
            Answer::json(200, found)
        }
        _ => missing(),
    }
}
