//! What a subject is called.

/// The name of the first root, and how many others there are.
pub(crate) fn title_of<'n>(mut names: impl Iterator<Item = &'n str>) -> String {
    let first = names.next().unwrap_or_default();
    match names.count() {
        0 => first.to_owned(),
        more => format!("{first} and {more} more"),
    }
}
