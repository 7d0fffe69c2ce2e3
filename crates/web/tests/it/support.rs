//! A server on loopback over a scratch database, and a client that sends what it is told.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use snowguard_db::Database;
use snowguard_testkit::database::Scratch;
use snowguard_web::{App, Settings};

/// A server that runs until this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The token of the one person.
    pub(crate) token: Option<String>,
    pub(crate) database: Database,
    pub(crate) app: Arc<App>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _scratch: Scratch,
}

impl Server {
    pub(crate) fn start(settings: impl FnOnce(SocketAddr) -> Settings) -> Self {
        Self::over(Scratch::sqlite().unwrap(), settings, |_| ())
    }

    /// The same over a database that is filled first.
    pub(crate) fn over(
        scratch: Scratch,
        settings: impl FnOnce(SocketAddr) -> Settings,
        fill: impl FnOnce(&Database),
    ) -> Self {
        let database = Database::open(scratch.name()).unwrap();
        fill(&database);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (app, way_in) = App::new(settings(address), database.clone(), address).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let served = Arc::clone(&app);
        let thread = std::thread::spawn(move || {
            runtime.block_on(snowguard_web::serve(listener, served, async {
                let _ = stopped.await;
            }));
            runtime.shutdown_timeout(Duration::from_secs(5));
        });
        let token = way_in.map(|way| way.split_once("token=").unwrap().1.to_owned());
        Self {
            address,
            token,
            database,
            app,
            stop: Some(stop),
            thread: Some(thread),
            _scratch: scratch,
        }
    }

    pub(crate) fn local() -> Self {
        Self::start(|_| Settings::local())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.tell();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Tells it to stop.
    pub(crate) fn tell(&mut self) {
        drop(self.stop.take());
    }

    /// Sends a request as it stands, and reads what comes until the end.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that has enough closes while this is still sent.
        let _ = stream.write_all(bytes);
        read(stream)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        stream
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, "")
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.send("POST", path, &all, form)
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            let _ = write!(request, "Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        if !body.is_empty() {
            let _ = write!(request, "Content-Length: {}\r\n", body.len());
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.raw(request.as_bytes())
    }

    /// Logs the one person in, and gives the cookie and what forms must say.
    pub(crate) fn log_in(&self) -> Visitor {
        let token = self.token.as_deref().unwrap();
        let answer = self.get(&format!("/login/local?token={token}"), &[]);
        assert_eq!(answer.status, 303, "{}", answer.body);
        Visitor::of(self, &answer.cookie("snowguard").unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tell();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Somebody who is logged in.
pub(crate) struct Visitor {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl Visitor {
    pub(crate) fn of(server: &Server, secret: &str) -> Self {
        let cookie = format!("snowguard={secret}");
        let page = server.get("/settings", &[("Cookie", &cookie)]);
        assert_eq!(page.status, 200, "{}", page.body);
        let csrf = page.body.split("name=\"csrf\" value=\"").nth(1).unwrap();
        Self {
            csrf: csrf.split('"').next().unwrap().to_owned(),
            cookie,
        }
    }

    /// Makes a token with these scopes (`scope=read&scope=triage`): the line by which a program shows it.
    pub(crate) fn token(&self, server: &Server, scopes: &str) -> String {
        let form = format!("name=a&{scopes}&days=7");
        let page = self.post(server, "/settings/tokens", &form);
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let shown = page.body.split("sgt_").nth(1).unwrap();
        format!("Bearer sgt_{}", shown.split('<').next().unwrap())
    }

    pub(crate) fn get(&self, server: &Server, path: &str) -> Answer {
        server.get(path, &[("Cookie", &self.cookie)])
    }

    pub(crate) fn post(&self, server: &Server, path: &str, form: &str) -> Answer {
        let origin = format!("http://{}", server.address);
        let headers = [
            ("Cookie", self.cookie.as_str()),
            ("Origin", origin.as_str()),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        server.post(path, &headers, &format!("csrf={}&{form}", self.csrf))
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self
            .headers
            .iter()
            .filter(|(header, _)| header == "set-cookie");
        let mut values = cookies.filter_map(|(_, value)| value.split(';').next()?.split_once('='));
        values
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    }
}

/// Reads an answer to the end of the connection; status 0 where there is none.
pub(crate) fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.unwrap_or(0),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}
