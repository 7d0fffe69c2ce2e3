//! Input that is not understood is never reported as clean.

use crate::support::{Place, System};

#[track_caller]
fn refused(place: &Place, name: &str) {
    for command in [
        vec!["scan", name],
        vec!["scan", name, "--format", "json"],
        vec!["scan", name, "--format", "openvex"],
        vec!["scan", name, "--fail-on", "never"],
        vec!["sbom", name],
        vec!["explain", "CVE-2021-3711", "--in", name],
        vec!["diff", name, name],
    ] {
        let run = place.run(&command);
        run.fails_with("error: ");
        assert!(run.stderr.contains("hint: "), "there is no remedy\n{run}");
        assert!(
            !run.stderr.contains("nothing known to be affected"),
            "{run}"
        );
    }
}

#[test]
fn a_file_that_is_not_there() {
    let place = Place::with_index();
    refused(&place, "nosuch.json");
    place
        .run(&["scan", "nosuch.json"])
        .fails_with("nosuch.json");
}

#[test]
fn a_file_that_is_empty() {
    let place = Place::with_index();
    place.write("empty", "");
    refused(&place, "empty");
}

#[test]
fn a_file_of_garbage() {
    let place = Place::with_index();
    let mut state = 1_u32;
    let garbage: Vec<u8> = (0..10_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    place.write("garbage", &garbage);
    refused(&place, "garbage");
    place.write(
        "garbage.zst",
        zstd::encode_all(garbage.as_slice(), 1).unwrap(),
    );
    refused(&place, "garbage.zst");
}

#[test]
fn json_that_is_something_else() {
    let place = Place::with_index();
    for text in [
        "{}",
        "[]",
        "null",
        "{\"a\": 1}",
        "\"text\"",
        "{\"derivations\": {}, \"version\": 4}",
    ] {
        place.write("x.json.zst", zstd::encode_all(text.as_bytes(), 1).unwrap());
        refused(&place, "x.json.zst");
    }
}

#[test]
fn a_file_that_is_cut_off() {
    let place = Place::with_index();
    let json = System::usual().json();
    let packed = zstd::encode_all(json.as_slice(), 1).unwrap();
    place.write("cut.json.zst", &packed[..packed.len() - 10]);
    refused(&place, "cut.json.zst");
    place.write(
        "half.json.zst",
        zstd::encode_all(&json[..json.len() / 2], 1).unwrap(),
    );
    refused(&place, "half.json.zst");
}

#[test]
fn a_directory_without_a_system() {
    let place = Place::with_index();
    std::fs::create_dir(place.path("directory")).unwrap();
    refused(&place, "directory");
}
