//! What a tracker decided, published and fetched with an index.
#![expect(clippy::disallowed_methods, reason = "tests look at files")]

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use snowguard_advisory::index::Builder;
use snowguard_http::{Client, Settings};
use snowguard_matching::triage::{Decided, Document, Tracker, Verdict};
use snowguard_store::SecretKey;

use super::publish::write;
use super::*;
use crate::file::IndexFile;
use crate::triage;

struct World {
    directory: Utf8PathBuf,
    key: SecretKey,
    _keep: tempfile::TempDir,
}

/// So many decisions.
fn document(count: usize) -> Vec<u8> {
    let tracker = Tracker {
        name: "Nixpkgs".into(),
        url: "https://tracker.example.org".into(),
    };
    let decided = |at: usize| Decided {
        advisory: format!("CVE-2026-{:04}", at + 1).parse().unwrap(),
        aliases: Vec::new(),
        package: "openssl".into(),
        verdict: Verdict::Confirmed,
        decided: Timestamp::UNIX_EPOCH,
        by: None,
        reason: None,
        issue: None,
        url: "https://tracker.example.org/x".into(),
        fixed_in: None,
        channels: Vec::new(),
    };
    let decisions = (0..count).map(decided).collect();
    Document::new(tracker, Timestamp::UNIX_EPOCH, Vec::new(), decisions)
        .to_json()
        .unwrap()
}

impl World {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let directory = Utf8PathBuf::try_from(keep.path().to_owned()).unwrap();
        IndexFile::replace(&directory.join("index"), &Builder::new().finish().bytes).unwrap();
        Self {
            directory,
            key: SecretKey::from_seed("tracker-1", &[7; 32]).unwrap(),
            _keep: keep,
        }
    }

    fn at(&self, name: &str) -> Utf8PathBuf {
        self.directory.join(name)
    }

    fn publish_with(
        &self,
        triage: Option<&[u8]>,
        publish: impl Fn(&Publish<'_>) -> Result<Published, PublishError>,
    ) -> Result<Published, PublishError> {
        publish(&Publish {
            index: &self.at("index"),
            triage,
            to: &self.at("site/repository"),
            key: &self.key,
            next_key: None,
            now: Timestamp::now(),
            expires: SignedDuration::from_hours(24),
            root_expires: SignedDuration::from_hours(24 * 365),
            keep: 2,
        })
    }

    fn publish(&self, triage: Option<&[u8]>) -> Published {
        self.publish_with(triage, publish).unwrap()
    }

    /// From the address of the site, as people know it.
    fn fetch_with(&self, key: &SecretKey) -> Result<Fetched, FetchError> {
        let client = Arc::new(Client::new(Settings::default(), Arc::default()).unwrap());
        let from = format!("file://{}", self.at("site")).parse().unwrap();
        let from = locate(&client, &from)?;
        let index = self.at("client/index");
        fetch(
            &Fetch {
                from: &from,
                anchor: &Anchor::Key(key.public().clone()),
                state: &self.at("client/index.trust"),
                index: &index,
                client,
                waiting: &|| (),
            },
            &mut |_| (),
        )
    }

    fn fetch(&self) -> TakenTriage {
        self.fetch_with(&self.key).unwrap().triage
    }

    fn here(&self) -> Option<usize> {
        let document = triage::load(&self.at("client/index")).unwrap();
        document.map(|document| document.decisions().len())
    }

    fn published(&self, name: &str) -> Utf8PathBuf {
        let targets = self.at("site/repository/targets");
        let mut all = targets.read_dir_utf8().unwrap();
        all.find_map(|entry| {
            let path = entry.unwrap().into_path();
            path.as_str().ends_with(name).then_some(path)
        })
        .unwrap()
    }
}

#[test]
fn decisions_come_with_the_index_and_go_with_it() {
    let world = World::new();
    let published = world.publish(Some(&document(2)));
    assert_eq!(published.decisions, Some(2));
    assert!(published.triage.is_some());
    assert!(matches!(world.fetch(), TakenTriage::New(2)));
    assert_eq!(world.here(), Some(2));
    world.publish(Some(&document(2)));
    assert!(matches!(world.fetch(), TakenTriage::Same));
    assert_eq!(world.here(), Some(2));
    world.publish(Some(&document(3)));
    assert!(matches!(world.fetch(), TakenTriage::New(3)));
    // What somebody did to the file here is mended.
    std::fs::write(triage::path(&world.at("client/index")), document(9)).unwrap();
    assert!(matches!(world.fetch(), TakenTriage::New(3)));
    assert_eq!(world.here(), Some(3));
    let published = world.publish(None);
    assert_eq!((published.triage, published.decisions), (None, None));
    assert!(matches!(world.fetch(), TakenTriage::None));
    assert_eq!(world.here(), None);
}

#[test]
fn a_form_that_is_not_read_is_not_kept_and_stops_no_index() {
    let world = World::new();
    world.publish(Some(&document(2)));
    world.fetch();
    let newer = br#"{"schema":"snowguard-triage/2"}"#;
    let refused = world.publish_with(Some(newer), publish).unwrap_err();
    assert!(matches!(refused, PublishError::Triage(_)), "{refused}");
    world.publish_with(Some(newer), write).unwrap();
    let TakenTriage::Unread(error) = world.fetch() else {
        panic!("it is read");
    };
    insta::assert_snapshot!(error, @"the triage document is of the version `snowguard-triage/2`; snowguard-triage/1 is read");
    assert_eq!(world.here(), None);
    world.publish(Some(&document(2)));
    assert!(matches!(world.fetch(), TakenTriage::New(2)));
}

#[test]
fn decisions_of_yesterday_and_of_others_are_refused() {
    let world = World::new();
    world.publish(Some(&document(1)));
    let folder = |name: &str| world.at("site/repository").join(name);
    let timestamp = std::fs::read(folder("metadata/timestamp.json")).unwrap();
    world.publish(Some(&document(2)));
    world.fetch();
    // The whole state of before is still there, and signed.
    std::fs::write(folder("metadata/timestamp.json"), &timestamp).unwrap();
    let error = world.fetch_with(&world.key).unwrap_err();
    assert!(matches!(error, FetchError::Rollback { .. }), "{error}");
    assert_eq!(world.here(), Some(2));

    let other = SecretKey::from_seed("other-1", &[9; 32]).unwrap();
    let error = world.fetch_with(&other).unwrap_err();
    assert!(matches!(error, FetchError::OtherState { .. }), "{error}");
    assert_eq!(world.here(), Some(2));
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    let world = World::new();
    world.publish(Some(&document(1)));
    world.fetch();
    world.publish(Some(&document(2)));
    let other = World::new();
    other.publish(Some(&document(3)));
    for target in world.at("site/repository/targets").read_dir_utf8().unwrap() {
        let path = target.unwrap().into_path();
        if path.as_str().ends_with("triage.json.zst") {
            std::fs::copy(other.published("triage.json.zst"), path).unwrap();
        }
    }
    assert!(world.fetch_with(&world.key).is_err());
    assert_eq!(world.here(), Some(1));
}

#[test]
fn a_repository_is_found_where_it_is() {
    let world = World::new();
    world.publish(None);
    let client = Client::new(Settings::default(), Arc::default()).unwrap();
    let found = |path: &Utf8Path| {
        let address = format!("file://{path}").parse().unwrap();
        locate(&client, &address).unwrap().path().unwrap()
    };
    let repository = world.at("site/repository");
    assert_eq!(found(&world.at("site")), repository);
    assert_eq!(found(&repository), repository);
    // Where there is none, the address stays what was asked for, and is named in the error.
    assert_eq!(found(&world.at("nowhere")), world.at("nowhere"));
}

#[test]
fn packed_or_not_the_same_is_signed() {
    let json = document(1);
    let packed = zstd::encode_all(&json[..], 3).unwrap();
    assert_eq!(triage::unpacked(packed.clone()).unwrap(), json);
    assert_eq!(triage::unpacked(json.clone()).unwrap(), json);
    assert!(triage::unpacked(packed[..packed.len() - 3].to_vec()).is_err());
}
