//! What a subject is called.

use snowguard_inventory::number;

/// The name of the first root, and how many others there are.
pub(crate) fn title_of<'n>(mut names: impl Iterator<Item = &'n str>) -> String {
    let first = names.next().unwrap_or_default();
    match names.count() {
        0 => first.to_owned(),
        more => format!("{first} and {} more", number(more)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_are_counted() {
        let title = |count: usize| title_of(std::iter::repeat_n("hello", count));
        assert_eq!(title(0), "");
        assert_eq!(title(1), "hello");
        assert_eq!(title(5_198), "hello and 5,197 more");
    }
}
