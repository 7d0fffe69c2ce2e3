//! A repository, and a server of the batch interface that keeps its large files and says of them what it is told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use snowguard_fod::Outcome;
use snowguard_fod::plan::{Form, Sparse, Tree};
use snowguard_refetch::{Job, Way};
use snowguard_testkit::web::{Answer, Request, Web};
use tempfile::TempDir;

use crate::fetched::commit_of;
use crate::support::{git_backend, run};

pub(crate) const ATTRIBUTES: &str = "*.bin filter=lfs diff=lfs merge=lfs -text\n";
pub(crate) const BIG: &[u8] = b"what is large\0and kept elsewhere\r\n";
pub(crate) const OTHER: &[u8] = b"#!/bin/sh\n";

pub(crate) fn oid(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

pub(crate) fn pointer(bytes: &[u8]) -> String {
    let (oid, size) = (oid(bytes), bytes.len());
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n")
}

/// A repository `r.git`, and who keeps its large files.
pub(crate) struct Server {
    pub(crate) root: TempDir,
    pub(crate) web: Web,
    /// What is said of an object of which something else is to be said than where it is.
    pub(crate) said: Arc<Mutex<BTreeMap<String, Value>>>,
    pub(crate) objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let server = Self {
            root: tempfile::tempdir().unwrap(),
            web: Web::start().unwrap(),
            said: Arc::default(),
            objects: Arc::default(),
        };
        let (root, base) = (server.root.path().to_owned(), server.web.base());
        let (said, objects) = (Arc::clone(&server.said), Arc::clone(&server.objects));
        server.web.answer_with(move |request| {
            answer(
                &root,
                &base,
                &said.lock().unwrap(),
                &objects.lock().unwrap(),
                request,
            )
        });
        server.git(&["init", "--quiet", "--bare"]);
        server
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        run(
            self.root.path(),
            "git",
            &[&["--git-dir=r.git"], args].concat(),
        )
    }

    pub(crate) fn keep(&self, bytes: &[u8]) -> &Self {
        self.objects
            .lock()
            .unwrap()
            .insert(oid(bytes), bytes.to_vec());
        self
    }

    pub(crate) fn say(&self, bytes: &[u8], said: Value) -> &Self {
        self.said.lock().unwrap().insert(oid(bytes), said);
        self
    }

    /// A commit with these files, those whose names end with `.sh.bin` to be executed.
    pub(crate) fn commit(&self, tag: &str, files: &[(&str, &[u8])]) -> Job {
        self.git(&["read-tree", "--empty"]);
        for (name, bytes) in files {
            let file = self.root.path().join("file");
            std::fs::write(&file, bytes).unwrap();
            let blob = self.git(&["hash-object", "-w", file.to_str().unwrap()]);
            let mode = if name.ends_with(".sh.bin") {
                "100755"
            } else {
                "100644"
            };
            let info = format!("{mode},{blob},{name}");
            self.git(&["update-index", "--add", "--cacheinfo", &info]);
        }
        self.tagged(tag)
    }

    pub(crate) fn tagged(&self, tag: &str) -> Job {
        let tree = self.git(&["write-tree"]);
        let commit = self.git(&["commit-tree", &tree, "-m", tag]);
        self.git(&["tag", tag, &commit]);
        job(&self.web.url("/git/r.git"), tag, false, None)
    }

    pub(crate) fn told(&self, outcome: &Outcome) -> String {
        let base = self.web.base();
        let (_, host) = base.split_once("://").unwrap();
        let text = format!("{}: {}", outcome.verdict, outcome.reason);
        text.replace(host, "HOST")
            .replace(&oid(BIG), "BIG")
            .replace(&oid(OTHER), "OTHER")
    }
}

pub(crate) fn job(url: &str, rev: &str, submodules: bool, sparse: Option<Sparse>) -> Job {
    Job {
        way: Way::Fetch(Form::Git(Tree {
            url: url.into(),
            rev: rev.into(),
            submodules,
            lfs: true,
            sparse,
        })),
        ..commit_of(url.to_owned(), rev)
    }
}

pub(crate) fn answer(
    root: &Path,
    base: &str,
    said: &BTreeMap<String, Value>,
    objects: &BTreeMap<String, Vec<u8>>,
    request: &Request,
) -> Option<Answer> {
    if let Some(oid) = request.path.strip_prefix("/objects/") {
        let has_header = request.header("x-of-this-one") == Some("yes");
        let found = objects.get(oid).filter(|_| has_header);
        return Some(Answer {
            status: if found.is_some() { 200 } else { 404 },
            headers: Vec::new(),
            body: found.cloned().unwrap_or_default(),
        });
    }
    if !request.path.ends_with("/objects/batch") {
        return git_backend(root, request);
    }
    assert_eq!(request.method, "POST");
    let kind = Some("application/vnd.git-lfs+json");
    assert_eq!(
        (request.header("accept"), request.header("x-of-this-one")),
        (kind, None)
    );
    let asked: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(asked["operation"], "download");
    let of = |wanted: &Value| {
        let oid = wanted["oid"].as_str().unwrap();
        let mut object = json!({
            "oid": oid,
            "size": wanted["size"],
            "actions": { "download": {
                "href": format!("{base}/objects/{oid}"),
                "header": { "X-Of-This-One": "yes" },
            }},
        });
        if let Some(said) = said.get(oid) {
            for (key, value) in said.as_object().unwrap() {
                object[key] = value.clone();
            }
        }
        object
    };
    let all: Vec<Value> = asked["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(of)
        .collect();
    Some(Answer::json(
        200,
        &json!({ "transfer": "basic", "objects": all }),
    ))
}
