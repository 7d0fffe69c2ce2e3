//! What could not be known, in words.

use snowguard_inventory::Gap;

use crate::words::{counted, number};

/// What could not be known, as a sentence without its end.
pub(crate) fn told(gap: &Gap) -> String {
    match gap {
        Gap::NoDerivations { missing, of } => {
            let (objects, have) = match (of, missing) {
                (1, _) => ("object", "has"),
                (_, 1) => ("objects", "has"),
                _ => ("objects", "have"),
            };
            format!(
                "{} of {} {objects} {have} no .drv file that can be read: patches and source URLs are unknown there",
                number(*missing),
                number(*of)
            )
        }
        Gap::SeveralDerivations { count, example } => format!(
            "{}, {example} among them, and none was taken: give a set with drvPath (nix-eval-jobs, or nix-env --drv-path \
             of Nix 2.20 or newer), or the derivations of this set alone",
            counted(
                *count,
                "package has the output of several derivations",
                "packages have outputs of several derivations"
            )
        ),
        Gap::MissingInputs { count, example } => {
            let were = if *count == 1 {
                "input was"
            } else {
                "inputs were"
            };
            format!(
                "{} {were} not given, {example} among them: what they are is known by name only",
                number(*count)
            )
        }
        Gap::UnreadPatches { unread, of } => {
            let files = if *of == 1 { "file" } else { "files" };
            let heads = if *unread == 1 {
                "its head says"
            } else {
                "their heads say"
            };
            format!(
                "{} of {} patch {files} could not be read: what {heads} is unknown",
                number(*unread),
                number(*of)
            )
        }
        Gap::NotLookedInto { count, of } => {
            let were = if *count == 1 { "was" } else { "were" };
            format!(
                "{} of {} objects {were} not looked into for libraries inside them (--deep does)",
                number(*count),
                number(*of)
            )
        }
        Gap::UnreadFiles { count, example } => {
            let files = if *count == 1 { "file" } else { "files" };
            format!(
                "what {} {files} declare could not be read, or not all of it; the first: {example}",
                number(*count)
            )
        }
        Gap::CutShort { count, example } => {
            let objects = if *count == 1 { "object" } else { "objects" };
            format!(
                "the look into {} {objects} ended at a limit; the first: {example}",
                number(*count)
            )
        }
        Gap::NoDependencies => "the input does not say how its parts depend on each other".into(),
        Gap::Unreadable { count, example } => {
            let entries = if *count == 1 { "entry" } else { "entries" };
            format!(
                "left out {} {entries} that could not be read; the first: {example}",
                number(*count)
            )
        }
    }
}

/// How many objects or files are left out of what is inside.
pub(crate) fn unread(gap: &Gap) -> usize {
    match gap {
        Gap::NotLookedInto { count, .. }
        | Gap::UnreadFiles { count, .. }
        | Gap::CutShort { count, .. } => *count,
        Gap::NoDerivations { .. }
        | Gap::SeveralDerivations { .. }
        | Gap::MissingInputs { .. }
        | Gap::UnreadPatches { .. }
        | Gap::NoDependencies
        | Gap::Unreadable { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_recipe_is_counted_in_words_that_agree() {
        let told = |missing, of| told(&Gap::NoDerivations { missing, of });
        assert!(told(1, 1).starts_with("1 of 1 object has no .drv file"));
        assert!(told(1, 3).starts_with("1 of 3 objects has no .drv file"));
        assert!(told(2, 1_000).starts_with("2 of 1,000 objects have no .drv file"));
    }

    #[test]
    fn unread_patches_are_counted_in_words_that_agree() {
        let told = |unread, of| told(&Gap::UnreadPatches { unread, of });
        assert_eq!(
            told(1, 1),
            "1 of 1 patch file could not be read: what its head says is unknown"
        );
        assert_eq!(
            told(1_000, 2_000),
            "1,000 of 2,000 patch files could not be read: what their heads say is unknown"
        );
    }
}
