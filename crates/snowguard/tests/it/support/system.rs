//! Systems made by hand, in the form of `nix derivation show -r`.

use serde_json::{Map, Value, json};

/// A build-time closure: a root and the packages that it is built from.
pub(crate) struct System {
    title: String,
    packages: Vec<Package>,
}

/// One package: a derivation, and those of its source and of its patches.
#[derive(Clone)]
pub(crate) struct Package {
    name: String,
    env: Map<String, Value>,
    source: Option<String>,
    patches: Vec<(String, Option<String>)>,
    needs: Vec<String>,
}

impl Package {
    /// By the name of the derivation: `openssl-1.1.1g`.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            env: Map::new(),
            source: None,
            patches: Vec::new(),
            needs: Vec::new(),
        }
    }

    /// Its source comes from here.
    pub(crate) fn source(mut self, url: &str) -> Self {
        self.source = Some(url.to_owned());
        self
    }

    /// A patch that lies beside the expression, or that is fetched.
    pub(crate) fn patch(mut self, name: &str, url: Option<&str>) -> Self {
        self.patches.push((name.to_owned(), url.map(str::to_owned)));
        self
    }

    /// It is built with another package, by the name of that.
    pub(crate) fn needs(mut self, name: &str) -> Self {
        self.needs.push(name.to_owned());
        self
    }

    /// An attribute of the derivation.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }
}

impl System {
    pub(crate) fn new(title: &str, packages: impl IntoIterator<Item = Package>) -> Self {
        Self {
            title: title.to_owned(),
            packages: packages.into_iter().collect(),
        }
    }

    /// What most tests scan: something of every status and of every rank.
    pub(crate) fn usual() -> Self {
        Self::new(
            "nixos-system-lab-26.05",
            [
                Package::new("openssl-1.1.1g")
                    .source("https://www.openssl.org/source/openssl-1.1.1g.tar.gz"),
                Package::new("sudo-1.8.31p1")
                    .source("https://www.sudo.ws/dist/sudo-1.8.31p1.tar.gz")
                    .needs("openssl-1.1.1g"),
                Package::new("curl-7.71.1")
                    .source("https://curl.se/download/curl-7.71.1.tar.xz")
                    .needs("openssl-1.1.1g"),
                Package::new("libtiff-4.1.0")
                    .source("https://download.osgeo.org/libtiff/tiff-4.1.0.tar.gz")
                    .patch("CVE-2020-35521.patch", None),
                Package::new("jose-10")
                    .source("https://github.com/latchset/jose/archive/v10.tar.gz"),
                Package::new("python3.8-werkzeug-1.0.1")
                    .env("pname", "werkzeug")
                    .source("mirror://pypi/w/werkzeug/werkzeug-1.0.1.tar.gz"),
                Package::new("bolt-0.8").source(
                    "https://gitlab.freedesktop.org/bolt/bolt/-/archive/0.8/bolt-0.8.tar.gz",
                ),
                Package::new("house-tool-1.0"),
            ],
        )
    }

    /// As the command prints it.
    pub(crate) fn json(&self) -> Vec<u8> {
        let mut all = Map::new();
        let root = store("nixos", &self.title, '0');
        let names = self.packages.iter().map(|package| package.name.as_str());
        let env = Map::new();
        all.insert(
            format!("{root}.drv"),
            derivation(&root, &self.title, env, names, std::iter::empty()),
        );
        for package in &self.packages {
            let mut env = package.env.clone();
            let mut needs: Vec<String> = package.needs.clone();
            let mut files = Vec::new();
            if let Some(url) = &package.source {
                let name = url.rsplit('/').next().unwrap();
                all.extend(fetched(name, url));
                env.insert("src".into(), path(name).into());
                needs.push(name.to_owned());
            }
            let mut patches = Vec::new();
            for (name, url) in &package.patches {
                match url {
                    Some(url) => {
                        all.extend(fetched(name, url));
                        needs.push(name.clone());
                    }
                    None => files.push(path(name)),
                }
                patches.push(path(name));
            }
            if !patches.is_empty() {
                env.insert("patches".into(), patches.join(" ").into());
            }
            let needs = needs.iter().map(String::as_str);
            let out = path(&package.name);
            let made = derivation(&out, &package.name, env, needs, files.into_iter());
            all.insert(format!("{out}.drv"), made);
        }
        serde_json::to_vec(&all).unwrap()
    }
}

fn derivation<'a>(
    out: &str,
    name: &str,
    mut env: Map<String, Value>,
    needs: impl Iterator<Item = &'a str>,
    files: impl Iterator<Item = String>,
) -> Value {
    env.insert("name".into(), name.into());
    env.insert("out".into(), out.into());
    let inputs: Map<String, Value> = needs
        .map(|name| (format!("{}.drv", path(name)), json!(["out"])))
        .collect();
    json!({
        "outputs": {"out": {"path": out}},
        "inputSrcs": files.collect::<Vec<_>>(),
        "inputDrvs": inputs,
        "system": "x86_64-linux",
        "builder": "/bin/sh",
        "args": [],
        "env": env,
    })
}

/// A fixed-output derivation that fetches a file.
fn fetched(name: &str, url: &str) -> [(String, Value); 1] {
    let out = path(name);
    let made = json!({
        "outputs": {"out": {"path": out, "hashAlgo": "sha256", "hash": "00".repeat(32)}},
        "inputSrcs": [],
        "inputDrvs": {},
        "system": "x86_64-linux",
        "builder": "/bin/sh",
        "args": [],
        "env": {"name": name, "out": out, "urls": url},
    });
    [(format!("{out}.drv"), made)]
}

/// A store path of its own for every name.
fn path(name: &str) -> String {
    store(name, name, '1')
}

fn store(seed: &str, name: &str, first: char) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut hash = String::from(first);
    for at in 0..31_u8 {
        for byte in seed.bytes().chain([at]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash.push(char::from(DIGITS[(state >> 59) as usize]));
    }
    format!("/nix/store/{hash}-{name}")
}
