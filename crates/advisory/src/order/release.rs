//! The order of upstream releases, which follow no specification, and Nix's own.

use std::cmp::Ordering;

use libversion::VersionFlags;

/// Upstream order: libversion, with `p` as in `8.2p1` meaning a patch.
///
/// In `1.1.1p` it is only the letter after `o`, which libversion has no flag for.
pub(super) fn upstream(a: &str, b: &str) -> Ordering {
    let flags = VersionFlags::P_IS_PATCH;
    let (a, b) = (without_v(a), without_v(b));
    let ((head_a, letter_a), (head_b, letter_b)) = (letter_release(a), letter_release(b));
    if letter_a == "p" || letter_b == "p" {
        return libversion::version_compare4(head_a, head_b, flags, flags)
            .then_with(|| letter_a.cmp(letter_b));
    }
    libversion::version_compare4(a, b, flags, flags)
}

/// An order for sorting: what libversion alone says.
pub(super) fn total(a: &str, b: &str) -> Ordering {
    libversion::version_compare2(a, b)
}

/// `1.1.1` and `g` of `1.1.1g`; no letters where a version has none or goes on after them.
fn letter_release(version: &str) -> (&str, &str) {
    let head = version.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let (head, letters) = version.split_at(head.len());
    // After `z` comes `za`.
    let counts = matches!(letters.as_bytes(), [_] | [b'z', _]);
    if counts && head.ends_with(|c: char| c.is_ascii_digit()) {
        (head, letters)
    } else {
        (version, "")
    }
}

/// `1.2.3` for `v1.2.3`.
pub(super) fn without_v(version: &str) -> &str {
    let rest = version.strip_prefix(['v', 'V']);
    rest.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or(version)
}

/// Nix's order over spellings that differ in habit only: case, a leading `v`, `_` for `.`, and
/// how many zeros stand at the end.
pub(super) fn nix(a: &str, b: &str) -> Ordering {
    snowguard_store::compare_versions(&habitual(a), &habitual(b))
}

fn habitual(version: &str) -> String {
    let mut out = without_v(version).to_lowercase().replace('_', ".");
    while let Some(rest) = out.strip_suffix(".0") {
        out.truncate(rest.len());
    }
    out
}
