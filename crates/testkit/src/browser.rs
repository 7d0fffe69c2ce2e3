//! A real browser for the tests of pages: Chromium without a window, spoken to over a pipe.
//!
//! It is driven by the `DevTools` protocol, because flags alone cannot press a key, narrow a window
//! to the width of a phone, or choose a colour scheme. Nothing is downloaded and nothing of the
//! machine's is used: the profile is a scratch directory, and every request that a page makes is
//! told. Every step has a deadline, after which the browser is killed.
//!
//! Source: Chrome `DevTools` Protocol, domains Target, Page, Runtime, Log, Network, Emulation, Input.

#![expect(
    clippy::disallowed_methods,
    reason = "tests start programs, read the environment and watch the clock"
)]

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The environment variable that names another Chromium.
pub const CHROMIUM_VARIABLE: &str = "SNOWGUARD_TEST_CHROMIUM";

/// Where Debian has it.
const CHROMIUM: &str = "/usr/bin/chromium";

/// How long one step may take, on a machine that is busy.
const DEADLINE: Duration = Duration::from_mins(1);

/// A browser that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    calls: u64,
    _profile: TempDir,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// In CSS pixels.
    pub width: u32,
    /// In CSS pixels.
    pub height: u32,
    /// What the person's system asks for.
    pub colors: Colors,
    /// Whether scripts run.
    pub script: bool,
    /// On a screen or on paper.
    pub medium: Medium,
}

/// A colour scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// Dark text on a light ground.
    Light,
    /// Light text on a dark ground.
    Dark,
}

/// What a page is shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A screen.
    Screen,
    /// Paper.
    Print,
}

impl View {
    /// A desk: 1280 by 800, light, with script.
    pub const DESK: Self = Self {
        width: 1280,
        height: 800,
        colors: Colors::Light,
        script: true,
        medium: Medium::Screen,
    };

    /// A phone: 390 by 844, light, with script.
    pub const PHONE: Self = Self {
        width: 390,
        height: 844,
        ..Self::DESK
    };

    /// The same in the dark.
    #[must_use]
    pub const fn dark(self) -> Self {
        Self {
            colors: Colors::Dark,
            ..self
        }
    }

    /// The same without script.
    #[must_use]
    pub const fn without_script(self) -> Self {
        Self {
            script: false,
            ..self
        }
    }

    /// The same on paper.
    #[must_use]
    pub const fn printed(self) -> Self {
        Self {
            medium: Medium::Print,
            ..self
        }
    }
}

impl Browser {
    /// Starts the browser that [`CHROMIUM_VARIABLE`] names, else Debian's.
    pub fn start() -> Result<Self, BrowserError> {
        let program = std::env::var_os(CHROMIUM_VARIABLE).unwrap_or_else(|| CHROMIUM.into());
        if !Path::new(&program).is_file() {
            return Err(BrowserError::NotFound { program });
        }
        let start = |source| BrowserError::Start {
            program: program.clone(),
            source,
        };
        let profile = tempfile::Builder::new()
            .prefix("snowguard-browser-")
            .tempdir()
            .map_err(start)?;
        // The protocol is spoken over file descriptors 3 and 4, which only a shell can hand over
        // without unsafe code.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(&program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(start)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(start(io::ErrorKind::BrokenPipe.into()));
        };
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut message = Vec::new();
            while matches!(output.read_until(0, &mut message), Ok(length) if length > 0) {
                let end = message.len() - usize::from(message.ends_with(&[0]));
                let Ok(value) = serde_json::from_slice(&message[..end]) else {
                    break;
                };
                if sender.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        Ok(Self {
            child,
            input,
            messages,
            calls: 0,
            _profile: profile,
        })
    }

    /// Opens a URL and waits until it is loaded.
    pub fn open(&mut self, url: &str, view: View) -> Result<Page<'_>, BrowserError> {
        let mut events = Vec::new();
        let target = self.call(
            None,
            "Target.createTarget",
            &json!({"url": "about:blank"}),
            &mut events,
        )?;
        let target = text(&target, "targetId");
        let attached = self.call(
            None,
            "Target.attachToTarget",
            &json!({"targetId": target, "flatten": true}),
            &mut events,
        )?;
        let mut page = Page {
            session: text(&attached, "sessionId"),
            browser: self,
            target,
            events: Vec::new(),
        };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), &json!({}))?;
        }
        page.set_view(view)?;
        page.navigate(url)?;
        Ok(page)
    }

    /// Calls a method and waits for its answer; what happens meanwhile is kept.
    fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
        events: &mut Vec<Value>,
    ) -> Result<Value, BrowserError> {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input
            .write_all(&bytes)
            .and_then(|()| self.input.flush())
            .map_err(|_| BrowserError::Gone)?;
        let deadline = Instant::now() + DEADLINE;
        loop {
            let message = self.next(deadline, method)?;
            if message["id"] == id {
                return match message.get("error") {
                    None => Ok(message["result"].clone()),
                    Some(error) => Err(BrowserError::Refused {
                        method: method.to_owned(),
                        why: error["message"].as_str().unwrap_or_default().to_owned(),
                    }),
                };
            }
            events.push(message);
        }
    }

    fn next(&mut self, deadline: Instant, what: &str) -> Result<Value, BrowserError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.messages.recv_timeout(left).map_err(|error| {
            // A browser that does not answer is of no use to the next test either.
            let _ = self.child.kill();
            match error {
                RecvTimeoutError::Timeout => BrowserError::Timeout {
                    what: what.to_owned(),
                },
                RecvTimeoutError::Disconnected => BrowserError::Gone,
            }
        })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.call(None, "Browser.close", &json!({}), &mut Vec::new());
        let deadline = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A page that is open. It is closed when this is dropped.
#[derive(Debug)]
pub struct Page<'b> {
    browser: &'b mut Browser,
    session: String,
    target: String,
    events: Vec<Value>,
}

impl Page<'_> {
    /// Looks at the page in another way.
    pub fn set_view(&mut self, view: View) -> Result<(), BrowserError> {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": view.width, "height": view.height, "deviceScaleFactor": 1,
                    "mobile": view.width < 600}),
        )?;
        let medium = match view.medium {
            Medium::Screen => "screen",
            Medium::Print => "print",
        };
        let colors = match view.colors {
            Colors::Light => "light",
            Colors::Dark => "dark",
        };
        self.call(
            "Emulation.setEmulatedMedia",
            &json!({"media": medium,
                    "features": [{"name": "prefers-color-scheme", "value": colors}]}),
        )?;
        self.call(
            "Emulation.setScriptExecutionDisabled",
            &json!({"value": !view.script}),
        )?;
        Ok(())
    }

    /// Goes to another URL and waits until it is loaded. Another fragment of the same page loads
    /// nothing.
    pub fn navigate(&mut self, url: &str) -> Result<(), BrowserError> {
        let before = self.events.len();
        let answer = self.call("Page.navigate", &json!({"url": url}))?;
        if let Some(why) = answer["errorText"].as_str() {
            return Err(BrowserError::Refused {
                method: url.to_owned(),
                why: why.to_owned(),
            });
        }
        if answer["loaderId"].is_null() {
            return Ok(());
        }
        self.events.drain(..before);
        let deadline = Instant::now() + DEADLINE;
        while !self
            .events
            .iter()
            .any(|event| event["method"] == "Page.loadEventFired")
        {
            let event = self.browser.next(deadline, "the page to load")?;
            self.events.push(event);
        }
        Ok(())
    }

    /// The value of an expression in the page; a promise is waited for. It works on pages without
    /// script as well.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value, BrowserError> {
        let answer = self.call(
            "Runtime.evaluate",
            &json!({"expression": expression, "returnByValue": true, "awaitPromise": true}),
        )?;
        match answer.get("exceptionDetails") {
            None => Ok(answer["result"]["value"].clone()),
            Some(exception) => Err(BrowserError::Refused {
                method: expression.to_owned(),
                why: exception_text(exception),
            }),
        }
    }

    /// The page as it stands, with what scripts made of it.
    pub fn html(&mut self) -> Result<String, BrowserError> {
        let html = self.evaluate("document.documentElement.outerHTML")?;
        Ok(html.as_str().unwrap_or_default().to_owned())
    }

    /// Presses and releases a key: a character, or `Enter`, `Escape`, `Tab`.
    pub fn press(&mut self, key: &str) -> Result<(), BrowserError> {
        let (text, code) = match key {
            "Enter" => ("\r", 13),
            "Escape" => ("", 27),
            "Tab" => ("", 9),
            " " => (" ", 32),
            character => (character, 0),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", &event)?;
        }
        Ok(())
    }

    /// A picture as PNG: of the window, or of the whole page.
    pub fn screenshot(&mut self, whole: bool) -> Result<Vec<u8>, BrowserError> {
        let answer = self.call(
            "Page.captureScreenshot",
            &json!({"format": "png", "captureBeyondViewport": whole}),
        )?;
        decode(&answer, "Page.captureScreenshot")
    }

    /// The page as PDF, on A4.
    pub fn pdf(&mut self) -> Result<Vec<u8>, BrowserError> {
        let answer = self.call(
            "Page.printToPDF",
            &json!({"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": false}),
        )?;
        decode(&answer, "Page.printToPDF")
    }

    /// What the browser complains about since the page was opened: errors and warnings of scripts,
    /// of the security policy and of requests.
    pub fn complaints(&mut self) -> Result<Vec<String>, BrowserError> {
        // An answer comes after all that happened before the question.
        self.evaluate("0")?;
        let complaints = self.events.iter().filter_map(|event| {
            let of = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(exception_text(&of["exceptionDetails"])),
                "Runtime.consoleAPICalled"
                    if matches!(of["type"].as_str(), Some("error" | "warning" | "assert")) =>
                {
                    Some(of["args"].to_string())
                }
                "Log.entryAdded" => Some(format!(
                    "{}: {}",
                    of["entry"]["level"].as_str().unwrap_or_default(),
                    of["entry"]["text"].as_str().unwrap_or_default()
                )),
                _ => None,
            }
        });
        Ok(complaints.collect())
    }

    /// The URLs that the page has asked for, its own among them.
    pub fn requests(&mut self) -> Result<Vec<String>, BrowserError> {
        self.evaluate("0")?;
        let requests = self
            .events
            .iter()
            .filter(|event| event["method"] == "Network.requestWillBeSent");
        Ok(requests
            .map(|event| text(&event["params"]["request"], "url"))
            .collect())
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Result<Value, BrowserError> {
        self.browser
            .call(Some(&self.session), method, parameters, &mut self.events)
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        let target = json!({"targetId": self.target});
        let _ = self
            .browser
            .call(None, "Target.closeTarget", &target, &mut self.events);
    }
}

/// Why the browser could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// There is none.
    #[error(
        "there is no browser at {}: run `cargo xtask test`, which installs Chromium, or name one in {CHROMIUM_VARIABLE}",
        program.display()
    )]
    NotFound {
        /// Where it was looked for.
        program: OsString,
    },
    /// It could not be started.
    #[error("start the browser {}", program.display())]
    Start {
        /// Which.
        program: OsString,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended before it was told to.
    #[error("the browser has ended")]
    Gone,
    /// It took too long, and was killed.
    #[error("the browser took longer than {} seconds for {what}", DEADLINE.as_secs())]
    Timeout {
        /// For what.
        what: String,
    },
    /// It says no.
    #[error("the browser refused `{method}`: {why}")]
    Refused {
        /// What was asked of it.
        method: String,
        /// Its reason.
        why: String,
    },
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn exception_text(details: &Value) -> String {
    let described = details["exception"]["description"].as_str();
    described
        .or(details["text"].as_str())
        .unwrap_or_default()
        .to_owned()
}

fn decode(answer: &Value, method: &str) -> Result<Vec<u8>, BrowserError> {
    let data = answer["data"].as_str().unwrap_or_default();
    data_encoding::BASE64
        .decode(data.as_bytes())
        .map_err(|error| BrowserError::Refused {
            method: method.to_owned(),
            why: error.to_string(),
        })
}

/// No window, no network of its own, no state beyond the profile.
const FLAGS: [&str; 14] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn url(directory: &TempDir, html: &str) -> String {
        let path = directory.path().join("page.html");
        std::fs::write(&path, html).unwrap();
        format!("file://{}", path.display())
    }

    #[test]
    fn what_a_page_does_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let url = url(
            &directory,
            "<!doctype html><meta name=viewport content='width=device-width'><title>x</title>
             <style>body { background: #fff } @media (prefers-color-scheme: dark) { body { background: #000 } }
                    @media print { body { display: none } }</style>
             <p id=p>plain</p>
             <script>
                 document.getElementById('p').textContent = 'scripted';
                 onkeydown = event => document.title += event.key;
                 console.error('a complaint');
             </script>",
        );
        let mut browser = Browser::start().unwrap();
        let mut page = browser.open(&url, View::DESK).unwrap();
        assert!(page.html().unwrap().contains("scripted"));
        assert_eq!(page.evaluate("innerWidth").unwrap(), 1280);
        assert_eq!(
            page.complaints().unwrap(),
            [r#"[{"type":"string","value":"a complaint"}]"#]
        );
        assert_eq!(page.requests().unwrap(), [url.as_str()]);
        for key in ["j", "/", "Enter"] {
            page.press(key).unwrap();
        }
        assert_eq!(page.evaluate("document.title").unwrap(), "xj/Enter");
        assert!(page.screenshot(false).unwrap().starts_with(b"\x89PNG"));
        assert!(page.pdf().unwrap().starts_with(b"%PDF"));
        assert!(page.evaluate("nothing.there").is_err());

        let background = "getComputedStyle(document.body).backgroundColor";
        assert_eq!(page.evaluate(background).unwrap(), "rgb(255, 255, 255)");
        page.set_view(View::PHONE.dark()).unwrap();
        assert_eq!(page.evaluate(background).unwrap(), "rgb(0, 0, 0)");
        assert_eq!(page.evaluate("innerWidth").unwrap(), 390);
        page.set_view(View::DESK.printed()).unwrap();
        let display = "getComputedStyle(document.body).display";
        assert_eq!(page.evaluate(display).unwrap(), "none");
        drop(page);

        let mut page = browser.open(&url, View::DESK.without_script()).unwrap();
        assert!(page.html().unwrap().contains("plain"));
        assert!(page.complaints().unwrap().is_empty());
    }

    #[test]
    fn an_absent_page_is_told() {
        let mut browser = Browser::start().unwrap();
        let error = browser.open("file:///nowhere", View::DESK).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the browser refused `file:///nowhere`: net::ERR_FILE_NOT_FOUND"
        );
    }
}
