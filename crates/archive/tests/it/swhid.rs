//! Identifiers beside those of the real Git.

use snowguard_archive::{Builder, ContentHasher, Duplicates, Limits, Memory, Swhid};

use crate::tools;

fn builder() -> Builder<Memory> {
    Builder::new(Memory::default(), Limits::default(), Duplicates::LastWins)
}

#[test]
fn as_git_has_them() {
    let mut tree = builder();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path();
    // Names of which one is the beginning of the other are sorted in a way of its own.
    for (name, contents, executable) in [
        ("a.b", "1", false),
        ("a/x", "2", true),
        ("a-b", "3", false),
        ("a0", "", false),
        ("z/y/x", "4", false),
    ] {
        let size = contents.len() as u64;
        tree.file(name.as_bytes(), executable, size, &mut contents.as_bytes())
            .unwrap();
        let script = format!(
            "mkdir -p $(dirname {name}); printf %s '{contents}' > {name}; chmod {} {name}",
            if executable { "755" } else { "644" }
        );
        tools::run(path, "bash", ["-c", &script]).unwrap();
    }
    tree.symlink(b"link", b"a/x").unwrap();
    let script = "ln -s a/x link; git init -q . ; git add . ; git write-tree";
    let id = tools::run(path, "bash", ["-c", script]).unwrap();
    let id = String::from_utf8(id).unwrap();
    let swhid = tree.finish().swhid().unwrap();
    assert_eq!(swhid.to_string(), format!("swh:1:dir:{}", id.trim()));
    assert_eq!(swhid.to_string().parse::<Swhid>().unwrap(), swhid);

    let id = tools::run(path, "git", ["hash-object", "a/x"]).unwrap();
    let mut content = ContentHasher::new(1).unwrap();
    content.update(b"2");
    assert_eq!(
        content.finish().to_string(),
        format!("swh:1:cnt:{}", String::from_utf8(id).unwrap().trim())
    );
}

#[test]
fn empty_directories_count() {
    let mut tree = builder();
    tree.directory(b"empty").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let script = "git init -q . ; empty=$(git hash-object -t tree -w /dev/null); \
                  printf '040000 tree %s\\tempty\\n' $empty | git mktree";
    let id = tools::run(scratch.path(), "bash", ["-c", script]).unwrap();
    assert_eq!(
        tree.finish().swhid().unwrap().to_string(),
        format!("swh:1:dir:{}", String::from_utf8(id).unwrap().trim())
    );
}

#[test]
fn what_is_none_is_told() {
    for text in [
        "",
        "swh:1:rev:0000000000000000000000000000000000000000",
        "swh:1:cnt:00",
        "swh:2:cnt:x",
        "swh:1:cnt:0000000000000000000000000000000000000000;origin=x",
        "swh:1:cnt:000000000000000000000000000000000000000G",
    ] {
        assert!(text.parse::<Swhid>().is_err(), "{text}");
    }
}
