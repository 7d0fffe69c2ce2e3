//! A proxy of a test, derivations for it, and clients that say exactly what they are told to.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::BASE64;
use serde_json::Value;
use snowguard_fod::policy::{Exception, Exceptions};
use snowguard_proxy::{EvidenceSettings, Handle, Listener, Mode, Proxy, Session, Settings};
use snowguard_store::{
    ContentAddress, ContentAddressMethod, DerivationBuilder, Hash, HashAlgo, Output, OutputName,
    References, StoreDir, StoreName,
};
use snowguard_testkit::web::Web;
use tempfile::TempDir;

/// The exceptions with which loopback servers can be fetched from, by name and address.
pub(crate) fn loopback(servers: &[&str]) -> Exceptions {
    let hosts: Vec<String> = servers
        .iter()
        .map(|base| format!("\"{}\"", base.split("://").nth(1).unwrap()))
        .collect();
    let text = format!(
        "[[exception]]\nderivation = \"source*\"\nhosts = [{}]\nprotocols = [\"http\", \"https\"]\n\
         reason = \"the servers of this test\"\nexpires = 2999-01-01\n",
        hosts.join(", ")
    );
    inside(&text)
}

/// A policy file whose exceptions also hold in this network; a file could say so of single outputs only.
pub(crate) fn inside(text: &str) -> Exceptions {
    let file = Exceptions::parse(text).unwrap();
    let all = file.in_force("2026-01-01".parse().unwrap());
    let all = all.into_iter().map(|one| Exception {
        private: true,
        ..one.clone()
    });
    Exceptions::new(file.limits(), all.collect())
}

/// A scratch directory with derivations.
pub(crate) struct Place {
    scratch: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.scratch.path()).unwrap()
    }

    /// A flat derivation that promises the SHA-256 of these bytes.
    pub(crate) fn drv(&self, name: &str, urls: &str, content: &[u8]) -> Utf8PathBuf {
        let dir = StoreDir::default();
        let store_name = StoreName::new(name).unwrap();
        let hash = Hash::of(HashAlgo::Sha256, content).unwrap();
        let address = ContentAddress::new(ContentAddressMethod::Flat, hash);
        let path = dir
            .content_path(&store_name, &address, References::NONE)
            .unwrap();
        let mut builder = DerivationBuilder::new(store_name);
        builder.output(
            OutputName::new("out").unwrap(),
            Output::Fixed { path, address },
        );
        builder
            .system("x86_64-linux")
            .builder("/bin/sh")
            .env("urls", urls);
        let text = builder.build().unwrap().to_aterm(&dir);
        let path = self
            .root()
            .join(format!("00000000000000000000000000000000-{name}.drv"));
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Evidence that cannot be written.
    pub(crate) fn full(&self) -> EvidenceSettings {
        let file = self.root().join("full");
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        EvidenceSettings::new(file)
    }

    pub(crate) fn settings(&self, mode: Mode, exceptions: Exceptions) -> Settings {
        Settings {
            exceptions,
            ..Settings::new(
                mode,
                EvidenceSettings::new(self.root().join("evidence.jsonl")),
            )
        }
    }
}

/// A proxy that runs.
pub(crate) struct Running {
    runtime: Option<tokio::runtime::Runtime>,
    handle: Option<Handle>,
    more: std::cell::RefCell<Vec<Handle>>,
    pub(crate) proxy: Proxy,
    pub(crate) address: String,
    evidence: Utf8PathBuf,
}

impl Running {
    pub(crate) fn start(settings: Settings) -> Self {
        let evidence = settings.evidence.file.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let proxy = Proxy::new(settings, jiff::Zoned::now().date()).unwrap();
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address();
        let handle = runtime.block_on(async { proxy.clone().serve(vec![listener]).unwrap() });
        Self {
            runtime: Some(runtime),
            handle: Some(handle),
            more: std::cell::RefCell::default(),
            proxy,
            address,
            evidence,
        }
    }

    pub(crate) fn begin(&self, drvs: &[&Utf8Path]) -> Session {
        self.proxy.begin(drvs, jiff::Zoned::now().date()).unwrap()
    }

    /// One more address, as another process makes it in the network of builds.
    pub(crate) fn listen_in_network(&self) -> String {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = Listener::inherited(socket.into()).unwrap();
        let address = listener.address();
        let runtime = self.runtime.as_ref().unwrap();
        let handle = runtime.block_on(async { self.proxy.clone().serve(vec![listener]).unwrap() });
        self.more.borrow_mut().push(handle);
        address
    }

    /// One more address, which is for one session.
    pub(crate) fn listen_for(&self, session: &Session) -> String {
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address();
        let listeners = vec![listener.for_session(session)];
        let runtime = self.runtime.as_ref().unwrap();
        let handle = runtime.block_on(async { self.proxy.clone().serve(listeners).unwrap() });
        self.more.borrow_mut().push(handle);
        address
    }

    /// The verdict on the one build of a session.
    pub(crate) fn end(&self, session: &Session) -> Value {
        let runtime = self.runtime.as_ref().unwrap();
        let verdicts = runtime.block_on(self.proxy.end(&session.token)).unwrap().0;
        verdicts[0].clone()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// What `curl` says and brings.
    pub(crate) fn curl(&self, session: &Session, args: &[&str]) -> Curl {
        let output = std::process::Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "30",
                "--include",
                "--suppress-connect-headers",
            ])
            .args([
                "--proxy",
                &format!("http://{}:x@{}", session.token, self.address),
            ])
            .args(args)
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .output()
            .expect("curl is there");
        Curl {
            answer: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            good: output.status.success(),
        }
    }

    /// Stops it; all that it wrote down.
    pub(crate) fn stop(mut self) -> Vec<Value> {
        let runtime = self.runtime.take().unwrap();
        let handle = self.handle.take().unwrap();
        drop(self.proxy);
        for handle in self.more.take() {
            runtime.block_on(handle.stop());
        }
        runtime.block_on(handle.stop());
        runtime.shutdown_timeout(Duration::from_secs(5));
        let mut all = Vec::new();
        snowguard_proxy::evidence::read(&self.evidence, |line| all.push(line)).unwrap();
        all
    }
}

pub(crate) struct Curl {
    pub(crate) answer: String,
    pub(crate) stderr: String,
    pub(crate) good: bool,
}

/// Requests alone.
pub(crate) fn requests(evidence: &[Value]) -> Vec<&Value> {
    evidence
        .iter()
        .filter(|line| line["kind"] == "request")
        .collect()
}

/// One connection, byte by byte.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self { stream }
    }

    pub(crate) fn send(&mut self, text: impl AsRef<[u8]>) {
        // A proxy that has closed already has answered.
        let _ = self.stream.write_all(text.as_ref());
    }

    /// One answer with its body, by its length; what has none goes to the end.
    pub(crate) fn answer(&mut self) -> String {
        let head = self.head();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.parse::<usize>().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        if self.stream.read_exact(&mut body).is_err() {
            return format!("{head}(cut)");
        }
        head + &String::from_utf8_lossy(&body)
    }

    /// One head, or what came of it.
    pub(crate) fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        let mut one = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut one) {
                Ok(1) => bytes.push(one[0]),
                _ => break,
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// So many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All until the proxy closes.
    pub(crate) fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Where a server is: its host and port.
pub(crate) fn host_of(web: &Web) -> String {
    web.base().split("://").nth(1).unwrap().to_owned()
}

/// A request for `/x` of a host, with more header lines.
pub(crate) fn get(host: &str, more: &str) -> String {
    format!("GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")
}

/// The header line with a token.
pub(crate) fn authorization(token: &str) -> String {
    format!(
        "Proxy-Authorization: Basic {}\r\n",
        BASE64.encode(format!("{token}:").as_bytes())
    )
}
