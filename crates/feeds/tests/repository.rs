//! A publisher, a web server that may lie, and a client.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look at files and know the time"
)]
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use snowguard_advisory::index::{Builder, Index, SourceKind, Touched};
use snowguard_advisory::record::Record;
use snowguard_feeds::IndexFile;
use snowguard_feeds::repository::{
    Anchor, Fetch, FetchError, Fetched, Publish, PublishError, Published, Taken, fetch, publish,
};
use snowguard_http::{Client, Settings};
use snowguard_store::SecretKey;
use snowguard_testkit::web::{Fault, Web};

const DAY: SignedDuration = SignedDuration::from_hours(24);

struct World {
    web: Web,
    key: SecretKey,
    directory: Utf8PathBuf,
    triage: Option<Vec<u8>>,
    _keep: tempfile::TempDir,
}

fn record(id: u32, says: &str) -> Record {
    serde_json::from_str(&format!(
        r#"{{"id":"CVE-2024-{id:05}","modified":"2024-01-02","summary":"{says} {:016x}","affects":[{{"products":["pkg:pypi/p{id}"],"rules":["<1"]}}]}}"#,
        u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    ))
    .unwrap()
}

fn base(edition: u32) -> Vec<u8> {
    let mut builder = Builder::new();
    for id in 0..2_000 {
        let says = if id % 50 == edition { "new" } else { "old" };
        builder.add("a", SourceKind::Osv, record(id, says));
    }
    builder.finish().bytes
}

fn delta(base: &[u8], says: &str) -> Vec<u8> {
    let mut touched = Touched::new();
    let mut builder = Builder::new();
    let record = record(7, says);
    touched.note(&record);
    builder.add("a", SourceKind::Osv, record);
    let sources = Index::open(base).unwrap().sources().unwrap();
    builder
        .finish_delta(base, &touched, &sources)
        .unwrap()
        .bytes
}

/// A key like no other in this process.
fn key(name: &str) -> SecretKey {
    static MADE: AtomicU8 = AtomicU8::new(0);
    SecretKey::from_seed(name, &[MADE.fetch_add(1, Ordering::Relaxed); 32]).unwrap()
}

impl World {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let directory = Utf8PathBuf::try_from(keep.path().to_owned()).unwrap();
        Self {
            web: Web::start().unwrap(),
            key: key("mirror-1"),
            directory,
            triage: None,
            _keep: keep,
        }
    }

    fn at(&self, name: &str) -> Utf8PathBuf {
        self.directory.join(name)
    }

    /// Publishes what lies at `index`, at a time, and serves it.
    fn publish_at(
        &self,
        now: Timestamp,
        next_key: Option<&SecretKey>,
    ) -> Result<Published, PublishError> {
        let published = publish(&Publish {
            index: &self.at("index"),
            triage: self.triage.as_deref(),
            to: &self.at("public"),
            key: &self.key,
            next_key,
            now,
            expires: DAY * 7,
            root_expires: DAY * 365,
            keep: 2,
        })?;
        self.serve();
        Ok(published)
    }

    fn publish(&self, base: &[u8], delta: Option<&[u8]>) -> Published {
        IndexFile::replace(&self.at("index"), base).unwrap();
        if let Some(delta) = delta {
            IndexFile::replace_delta(&self.at("index"), delta).unwrap();
        }
        self.publish_at(Timestamp::now(), None).unwrap()
    }

    /// What is published, by path.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for folder in ["metadata", "targets"] {
            for entry in self.at("public").join(folder).read_dir_utf8().unwrap() {
                let entry = entry.unwrap();
                let path = format!("/{folder}/{}", entry.file_name());
                files.insert(path, std::fs::read(entry.path()).unwrap());
            }
        }
        files
    }

    fn serve(&self) {
        self.web.heal();
        for path in self.web.paths() {
            self.web.remove(&path);
        }
        for (path, bytes) in self.files() {
            self.web.put(&path, bytes);
        }
    }

    fn anchor(&self) -> Anchor {
        Anchor::Key(self.key.public().clone())
    }

    fn fetch(&self) -> Result<Fetched, FetchError> {
        self.fetch_as("client", &self.anchor())
    }

    fn fetch_as(&self, client: &str, anchor: &Anchor) -> Result<Fetched, FetchError> {
        let settings = Settings {
            attempts: 2,
            pause: Duration::from_millis(1),
            ..Settings::default()
        };
        fetch(
            &Fetch {
                from: &self.web.base().parse().unwrap(),
                anchor,
                state: &self.at(client),
                index: &self.at(client).join("advisories.idx"),
                client: Arc::new(Client::new(settings, Arc::default()).unwrap()),
                waiting: &|| (),
            },
            &mut |_| (),
        )
    }

    /// Base and delta as the client has them.
    fn installed(&self, client: &str) -> (Vec<u8>, Option<Vec<u8>>) {
        let file = IndexFile::open(&self.at(client).join("advisories.idx")).unwrap();
        file.index().unwrap();
        (
            file.base_bytes().to_vec(),
            file.delta_bytes().map(<[u8]>::to_vec),
        )
    }

    /// What a failed fetch tells, without ports and digests.
    fn told(&self, error: &FetchError) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(found) = cause {
            text = format!("{text}: {found}");
            cause = found.source();
        }
        let text = text
            .replace(&self.web.base(), "http://MIRROR")
            .replace(self.directory.as_str(), "DIR");
        let key = self.key.public().to_string();
        let text = text.replace(&key, "KEY");
        // Digests.
        let words = text.split_inclusive(|c: char| !c.is_ascii_hexdigit());
        let shown: String = words
            .map(|word| {
                if word.len() > 32 {
                    word.replace(|c: char| c.is_ascii_hexdigit(), "")
                        .replacen("", "HEX", 1)
                } else {
                    word.to_owned()
                }
            })
            .collect();
        format!("{shown}\nhint: {}", error.hint().unwrap_or("none"))
    }

    /// Something is wrong with the mirror: the client says so and keeps what it has.
    fn refused(&self) -> String {
        let before = self.installed("client");
        let error = self.fetch().unwrap_err();
        assert_eq!(self.installed("client"), before);
        self.told(&error)
    }
}

#[test]
fn a_client_takes_a_base_then_deltas_then_patches() {
    let world = World::new();
    let (one, two) = (base(1), base(2));
    let published = world.publish(&one, None);
    assert_eq!(
        (published.version, published.root, published.delta),
        (1, 1, None)
    );
    let first = world.fetch().unwrap();
    assert_eq!(
        (first.version, first.base, first.delta),
        (1, Some(Taken::Whole), false)
    );
    assert_eq!(first.bytes, published.base);
    assert_eq!(world.installed("client"), (one.clone(), None));

    let changed = delta(&one, "changed");
    let published = world.publish(&one, Some(&changed));
    let second = world.fetch().unwrap();
    assert_eq!((second.version, second.base, second.delta), (2, None, true));
    assert_eq!(Some(second.bytes), published.delta);
    assert_eq!(world.installed("client"), (one.clone(), Some(changed)));
    let again = world.fetch().unwrap();
    assert_eq!((again.base, again.delta, again.bytes), (None, false, 0));

    let changed = delta(&two, "changed again");
    let published = world.publish(&two, Some(&changed));
    assert_eq!(published.patches.len(), 1);
    assert!(published.patches[0] < published.base / 2, "{published:?}");
    let third = world.fetch().unwrap();
    assert_eq!((third.base, third.delta), (Some(Taken::Patch), true));
    assert_eq!(third.bytes, published.patches[0] + published.delta.unwrap());
    assert_eq!(world.installed("client"), (two.clone(), Some(changed)));
    // A delta that is gone is gone.
    world.publish(&two, None);
    assert!(world.fetch().unwrap().delta);
    assert_eq!(world.installed("client"), (two, None));
    assert!(!world.at("client").join("downloads").exists());
}

#[test]
fn patches_are_kept_for_some_bases_and_files_for_one_version() {
    let world = World::new();
    for edition in 1..=5 {
        let published = world.publish(&base(edition), None);
        assert_eq!(
            published.patches.len(),
            usize::try_from(edition - 1).unwrap().min(2)
        );
    }
    // Who has a base from before takes the new one whole.
    IndexFile::replace(&world.at("client/advisories.idx"), &base(1)).unwrap();
    assert_eq!(world.fetch().unwrap().base, Some(Taken::Whole));
    IndexFile::replace(&world.at("client/advisories.idx"), &base(3)).unwrap();
    assert_eq!(world.fetch().unwrap().base, Some(Taken::Patch));
    assert_eq!(world.installed("client").0, base(5));
    let names: Vec<String> = world.files().into_keys().collect();
    let metadata: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix("/metadata/"))
        .collect();
    assert_eq!(
        metadata,
        [
            "1.root.json",
            "4.snapshot.json",
            "4.targets.json",
            "5.snapshot.json",
            "5.targets.json",
            "root.json",
            "timestamp.json"
        ]
    );
    // Bases 2 to 5, patches to 4 and to 5.
    assert_eq!(names.len() - metadata.len(), 4 + 4);
}

#[test]
fn a_damaged_base_is_mended() {
    let world = World::new();
    world.publish(&base(1), None);
    world.fetch().unwrap();
    let path = world.at("client/advisories.idx");
    let mut damaged = base(1);
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    assert_eq!(world.fetch().unwrap().base, Some(Taken::Whole));
    std::fs::write(&path, &damaged).unwrap();
    world.publish(&base(2), None);
    assert_eq!(world.fetch().unwrap().base, Some(Taken::Whole));
    assert_eq!(world.installed("client").0, base(2));
}

#[test]
fn an_older_state_is_told_for_one() {
    let world = World::new();
    world.publish(&base(1), None);
    let old = world.files();
    world.publish(&base(2), None);
    world.fetch().unwrap();
    // All files of the first state, as they were.
    for (path, bytes) in &old {
        world.web.put(path, bytes.clone());
    }
    insta::assert_snapshot!(world.refused(), @"
    http://MIRROR/ offers an older state than it did before: its timestamp metadata has version 1, and had 2
    hint: a mirror that lags behind mends itself; else tell its operator; the last good index stays
    ");
    // Signed anew by someone who lost the directory, not the key.
    std::fs::remove_dir_all(world.at("public")).unwrap();
    world.publish(&base(3), None);
    insta::assert_snapshot!(world.refused(), @"
    http://MIRROR/ offers an older state than it did before: its timestamp metadata has version 1, and had 2
    hint: a mirror that lags behind mends itself; else tell its operator; the last good index stays
    ");
}

#[test]
fn what_stands_still_is_told() {
    let world = World::new();
    world.publish(&base(1), None);
    world.fetch().unwrap();
    IndexFile::replace(&world.at("index"), &base(2)).unwrap();
    world.publish_at(Timestamp::now() - DAY * 8, None).unwrap();
    insta::assert_snapshot!(world.refused(), @"
    the timestamp metadata at http://MIRROR/ has expired
    hint: check this machine's clock; else the publisher has stopped, or someone keeps news back
    ");
    world.publish_at(Timestamp::now(), None).unwrap();
    assert_eq!(world.fetch().unwrap().version, 3);
}

#[test]
fn parts_of_several_states_are_told() {
    let world = World::new();
    world.publish(&base(1), None);
    world.fetch().unwrap();
    let old = world.files();
    world.publish(&base(2), None);
    world.web.put(
        "/metadata/2.snapshot.json",
        old["/metadata/1.snapshot.json"].clone(),
    );
    insta::assert_snapshot!(world.refused(), @"
    the files at http://MIRROR/ do not belong together: 2.snapshot.json is not the one that the others name
    hint: a mirror that is just being copied mends itself; else tell its operator; the last good index stays
    ");
    world.serve();
    world.web.put(
        "/metadata/2.targets.json",
        old["/metadata/1.targets.json"].clone(),
    );
    insta::assert_snapshot!(world.refused(), @"
    the files at http://MIRROR/ do not belong together: 2.targets.json is not the one that the others name
    hint: a mirror that is just being copied mends itself; else tell its operator; the last good index stays
    ");
    world.serve();
    world.web.remove("/metadata/2.snapshot.json");
    insta::assert_snapshot!(world.refused(), @"
    the files at http://MIRROR/ do not belong together: 2.snapshot.json is missing
    hint: a mirror that is just being copied mends itself; else tell its operator; the last good index stays
    ");
    world.serve();
    assert_eq!(world.fetch().unwrap().version, 2);
}

/// A file in which one hexadecimal digit of a signature is another.
fn forged(bytes: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8(bytes.to_vec()).unwrap();
    let at = text.rfind(r#""sig":""#).unwrap() + 7;
    let other = if text.as_bytes()[at] == b'0' {
        "1"
    } else {
        "0"
    };
    text.replace_range(at..=at, other);
    text.into_bytes()
}

#[test]
fn bad_signatures_are_told() {
    let world = World::new();
    world.publish(&base(1), None);
    world.fetch().unwrap();
    world.publish(&base(2), None);
    let files = world.files();
    world.web.put(
        "/metadata/timestamp.json",
        forged(&files["/metadata/timestamp.json"]),
    );
    insta::assert_snapshot!(world.refused(), @"
    the timestamp metadata at http://MIRROR/ has no valid signature
    hint: do not trust this server before its operator explains it; the last good index stays
    ");
    world.serve();
    // A root that the old one does not know.
    let stranger = World::new();
    stranger.publish(&base(3), None);
    let root = String::from_utf8(stranger.files()["/metadata/root.json"].clone()).unwrap();
    world.web.put(
        "/metadata/2.root.json",
        root.replace(r#""version":1"#, r#""version":2"#),
    );
    insta::assert_snapshot!(world.refused(), @"
    the root metadata at http://MIRROR/ has no valid signature
    hint: do not trust this server before its operator explains it; the last good index stays
    ");
    world.serve();
    assert_eq!(world.fetch().unwrap().version, 2);
    let error = world.fetch_as("other", &stranger.anchor()).unwrap_err();
    assert!(matches!(error, FetchError::OtherKey { .. }), "{error}");
    let error = world.fetch_as("client", &stranger.anchor()).unwrap_err();
    assert!(matches!(error, FetchError::OtherState { .. }), "{error}");
}

#[test]
fn targets_that_are_not_what_was_signed_are_told() {
    let world = World::new();
    world.publish(&base(1), None);
    world.fetch().unwrap();
    world.publish(&base(2), None);
    let files = world.files();
    let (patch, bytes) = files
        .iter()
        .find(|(path, _)| path.ends_with(".patch.zst"))
        .unwrap();
    let mut wrong = bytes.clone();
    *wrong.last_mut().unwrap() ^= 1;
    world.web.put(patch, wrong);
    let told = world.refused();
    assert!(told.contains("SHA-256"), "{told}");
    world.serve();
    world.web.put(patch, bytes[..bytes.len() / 2].to_vec());
    let told = world.refused();
    assert!(told.contains("bytes"), "{told}");
    world.serve();
    // Cut on the way: what is here is kept, and the rest is asked for.
    world
        .web
        .fail(patch, [Fault::Cut(bytes.len() / 2), Fault::Cut(0)]);
    let cut = world.fetch();
    let resumed = if cut.is_err() { world.fetch() } else { cut };
    assert_eq!(resumed.unwrap().base, Some(Taken::Patch));
    assert!(
        world
            .web
            .seen()
            .iter()
            .any(|request| request.header("range").is_some())
    );
    assert_eq!(world.installed("client").0, base(2));
}

#[test]
fn metadata_without_end_is_refused() {
    let world = World::new();
    world.publish(&base(1), None);
    world.fetch().unwrap();
    world.publish(&base(2), None);
    world
        .web
        .fail_always("/metadata/timestamp.json", Fault::Endless);
    insta::assert_snapshot!(world.refused(), @"
    timestamp.json at http://MIRROR/ is too large
    hint: tell the operator of the server; the last good index stays
    ");
    world.web.heal();
    let mut long = world.files()["/metadata/2.snapshot.json"].clone();
    long.resize(long.len() + 10, b' ');
    world.web.put("/metadata/2.snapshot.json", long);
    insta::assert_snapshot!(world.refused(), @"
    2.snapshot.json at http://MIRROR/ is too large
    hint: tell the operator of the server; the last good index stays
    ");
    world.serve();
    world.web.put("/metadata/timestamp.json", b"{".to_vec());
    insta::assert_snapshot!(world.refused(), @"
    the timestamp metadata at http://MIRROR/ cannot be read: EOF while parsing an object at line 1 column 1
    hint: tell the operator of the server; the last good index stays
    ");
    world.web.remove("/metadata/timestamp.json");
    insta::assert_snapshot!(world.refused(), @"
    there is no signed index at http://MIRROR/
    hint: check the address: it is that of the directory with `metadata` and `targets`
    ");
}

#[test]
fn a_key_is_replaced_and_clients_follow() {
    let mut world = World::new();
    world.publish(&base(1), None);
    world.fetch().unwrap();
    let old = world.anchor();
    let next = key("mirror-2");
    let published = world.publish_at(Timestamp::now(), Some(&next)).unwrap();
    assert_eq!(published.root, 2);
    assert_eq!(world.fetch_as("client", &old).unwrap().version, 2);
    let error = world.publish_at(Timestamp::now(), None).unwrap_err();
    assert!(matches!(error, PublishError::OtherKey(_)), "{error}");
    world.key = next;
    world.publish(&base(2), None);
    // Who knows the old key, who knows both, and who knows only the new one.
    assert_eq!(world.fetch_as("client", &old).unwrap().version, 3);
    assert_eq!(world.fetch().unwrap().version, 3);
    assert_eq!(world.fetch_as("new", &world.anchor()).unwrap().version, 3);
    assert_eq!(world.fetch_as("late", &old).unwrap().version, 3);
    let root = std::fs::read(world.at("public/metadata/1.root.json")).unwrap();
    assert_eq!(
        world
            .fetch_as("pinned", &Anchor::Root(root))
            .unwrap()
            .version,
        3
    );
}

/// In whatever order a client sees the files of a new key, it believes them.
#[test]
fn a_client_that_reads_while_the_key_is_replaced_sees_nothing_wrong() {
    let mut world = World::new();
    world.publish(&base(1), None);
    world.fetch().unwrap();
    let old = world.anchor();
    let next = key("mirror-2");
    IndexFile::replace(&world.at("index"), &base(2)).unwrap();
    world.publish_at(Timestamp::now(), Some(&next)).unwrap();
    // As if the publisher had ended before the root, or the copy to a server had.
    for name in ["/metadata/root.json", "/metadata/2.root.json"] {
        world.web.remove(name);
    }
    let first = std::fs::read(world.at("public/metadata/1.root.json")).unwrap();
    world.web.put("/metadata/root.json", first.clone());
    for client in ["client", "between"] {
        assert_eq!(world.fetch_as(client, &old).unwrap().version, 2);
    }
    // The same again is the same.
    std::fs::remove_file(world.at("public/metadata/2.root.json")).unwrap();
    std::fs::write(world.at("public/metadata/root.json"), first).unwrap();
    let again = world.publish_at(Timestamp::now(), Some(&next)).unwrap();
    assert_eq!((again.version, again.root), (3, 2));
    let root = std::fs::read(world.at("public/metadata/2.root.json")).unwrap();
    std::fs::remove_file(world.at("public/metadata/root.json")).unwrap();
    let again = world.publish_at(Timestamp::now(), Some(&next)).unwrap();
    assert_eq!((again.version, again.root), (4, 2));
    assert_eq!(
        std::fs::read(world.at("public/metadata/root.json")).unwrap(),
        root
    );
    for client in ["client", "between", "late"] {
        assert_eq!(world.fetch_as(client, &old).unwrap().version, 4);
    }
    // But not with a key that never was the repository's.
    world.key = key("mirror-3");
    let error = world.publish_at(Timestamp::now(), Some(&next)).unwrap_err();
    assert!(matches!(error, PublishError::OtherKey(_)), "{error}");
}

/// Who serves the directory may be able to write to it: nothing of that is signed or stands in the way.
#[test]
fn what_others_put_into_the_directory_is_not_published() {
    let world = World::new();
    for edition in 1..=2 {
        world.publish(&base(edition), None);
    }
    let at = |name: &str| world.at("public/metadata").join(name);
    let targets = std::fs::read(at("2.targets.json")).unwrap();
    let numbers = ["18446744073709551615", "77", "03", "3"];
    for number in numbers {
        for role in ["targets", "snapshot", "root"] {
            if (number, role) != ("3", "root") {
                std::fs::write(at(&format!("{number}.{role}.json")), &targets).unwrap();
            }
        }
    }
    assert_eq!(world.publish(&base(3), None).version, 3);
    assert_eq!(world.fetch().unwrap().version, 3);
    for (name, bytes) in [
        (
            "3.targets.json",
            forged(&std::fs::read(at("3.targets.json")).unwrap()),
        ),
        ("3.targets.json", targets),
        (
            "timestamp.json",
            forged(&std::fs::read(at("timestamp.json")).unwrap()),
        ),
        (
            "1.root.json",
            forged(&std::fs::read(at("1.root.json")).unwrap()),
        ),
    ] {
        let good = std::fs::read(at(name)).unwrap();
        std::fs::write(at(name), bytes).unwrap();
        let error = world.publish_at(Timestamp::now(), None).unwrap_err();
        assert!(
            matches!(&error, PublishError::Unverified(path) if path.as_str().ends_with(name)),
            "{name}: {error}"
        );
        std::fs::write(at(name), good).unwrap();
    }
    assert_eq!(world.publish(&base(4), None).version, 4);
}

/// A patch that is there is taken again, if it is the one that was signed.
#[test]
fn a_damaged_patch_is_made_anew() {
    let world = World::new();
    for edition in 1..=2 {
        world.publish(&base(edition), None);
    }
    let files = world.at("public/targets").read_dir_utf8().unwrap();
    let files = files.map(|file| file.unwrap().into_path());
    let is_patch = |path: &Utf8PathBuf| path.as_str().ends_with(".patch.zst");
    let patch = files.into_iter().find(is_patch).unwrap();
    let whole = std::fs::read(&patch).unwrap();
    for damage in [None, Some(b"damaged")] {
        if let Some(damage) = damage {
            std::fs::write(&patch, damage).unwrap();
        }
        let published = world.publish(&base(2), None);
        assert_eq!(published.patches, [whole.len() as u64]);
        assert_eq!(std::fs::read(&patch).unwrap(), whole);
    }
}

/// A root that was given is not passed over where there is state: after a theft of the key, a client
/// that goes on with the old one would follow the thief.
#[test]
fn a_root_that_is_given_must_be_of_the_chain_that_is_known() {
    let mut world = World::new();
    world.publish(&base(1), None);
    let root = |world: &World, version: u64| {
        let path = world.at(&format!("public/metadata/{version}.root.json"));
        Anchor::Root(std::fs::read(path).unwrap())
    };
    let first = root(&world, 1);
    for client in ["pinned", "late"] {
        world.fetch_as(client, &first).unwrap();
    }
    world.fetch().unwrap();
    let other = World::new();
    other.publish(&base(2), None);
    let foreign = root(&other, 1);
    for client in ["pinned", "client"] {
        let error = world.fetch_as(client, &foreign).unwrap_err();
        assert!(matches!(error, FetchError::OtherState { .. }), "{error}");
        insta::allow_duplicates! { insta::assert_snapshot!(error.to_string().replace(world.at(client).as_str(), "STATE"), @"STATE belongs to an index that is signed with another key than that of the root given"); }
    }

    for number in 2..=3 {
        let next = key("mirror");
        let published = world.publish_at(Timestamp::now(), Some(&next)).unwrap();
        assert_eq!(published.root, number);
        world.key = next;
    }
    let newest = root(&world, 3);
    // One that is newer than what is known, one that is older, and the one that is known.
    assert_eq!(world.fetch_as("late", &newest).unwrap().version, 3);
    assert_eq!(world.fetch_as("pinned", &first).unwrap().version, 3);
    world.fetch_as("client", &first).unwrap();
    world.fetch_as("client", &root(&world, 2)).unwrap();
    world.fetch_as("client", &first).unwrap();
    world.fetch_as("client", &newest).unwrap();
    let error = world.fetch_as("client", &foreign).unwrap_err();
    assert!(matches!(error, FetchError::OtherState { .. }), "{error}");
    // Of a higher number, and of another chain.
    let next = key("mirror");
    other.publish_at(Timestamp::now(), Some(&next)).unwrap();
    other.fetch_as("client", &root(&other, 2)).unwrap();
    let state = other.at("client");
    std::fs::copy(
        world.at("public/metadata/1.root.json"),
        state.join("root.json"),
    )
    .unwrap();
    let error = other.fetch_as("client", &root(&other, 2)).unwrap_err();
    assert!(matches!(error, FetchError::OtherState { .. }), "{error}");
}

#[test]
fn a_root_is_renewed_before_it_expires() {
    let world = World::new();
    IndexFile::replace(&world.at("index"), &base(1)).unwrap();
    let year_ago = Timestamp::now() - DAY * 300;
    assert_eq!(world.publish_at(year_ago, None).unwrap().root, 1);
    assert_eq!(world.publish_at(year_ago + DAY, None).unwrap().root, 1);
    assert_eq!(world.publish_at(Timestamp::now(), None).unwrap().root, 2);
    assert_eq!(world.fetch().unwrap().version, 3);
}

#[test]
fn what_was_seen_is_not_forgotten_by_damage() {
    let world = World::new();
    world.publish(&base(1), None);
    world.fetch().unwrap();
    let path = world.at("client/timestamp.json");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    insta::assert_snapshot!(world.refused(), @"
    DIR/client/timestamp.json is damaged
    hint: remove it; the next fetch begins anew, without knowledge of what was seen before
    ");
}

#[test]
fn a_directory_of_this_machine_serves_as_well() {
    let world = World::new();
    world.publish(&base(1), None);
    let fetched = fetch(
        &Fetch {
            from: &format!("file://{}", world.at("public")).parse().unwrap(),
            anchor: &world.anchor(),
            state: &world.at("client"),
            index: &world.at("client/advisories.idx"),
            client: Arc::new(Client::new(Settings::default(), Arc::default()).unwrap()),
            waiting: &|| (),
        },
        &mut |_| (),
    );
    assert_eq!(fetched.unwrap().base, Some(Taken::Whole));
    assert_eq!(world.installed("client").0, base(1));
}

#[test]
fn a_damaged_index_is_not_published() {
    let world = World::new();
    std::fs::write(world.at("index"), b"SNOWIDX\nnonsense").unwrap();
    let error = world.publish_at(Timestamp::now(), None).unwrap_err();
    assert!(matches!(error, PublishError::Index(_)), "{error}");
    assert!(!Utf8Path::new(&world.at("public/metadata/timestamp.json")).exists());
}
