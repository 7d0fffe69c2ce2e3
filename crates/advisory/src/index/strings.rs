//! The strings of an index: each once, told by its number.

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

use super::layout::{Section, little_endian};

/// Strings as they come, each once: one after the other, since there are a million of them.
#[derive(Default)]
pub(super) struct Strings {
    text: String,
    ends: Vec<u32>,
    /// By hash.
    numbers: FxHashMap<u64, u32>,
}

impl Strings {
    /// The number of a string, which it has from now on.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        let mut hash = xxh3_64(text.as_bytes());
        loop {
            match self.numbers.get(&hash) {
                Some(&number) if of(&self.text, &self.ends, number) == text => return number,
                // Another string has that place.
                Some(_) => hash = hash.wrapping_add(1),
                None => break,
            }
        }
        let number = len_u32(self.ends.len());
        self.text.push_str(text);
        self.ends.push(len_u32(self.text.len()));
        self.numbers.insert(hash, number);
        number
    }

    /// Sorts them. No other string is looked for from now on.
    pub(super) fn sort(self) -> Sorted {
        let Self {
            text,
            ends,
            numbers,
        } = self;
        drop(numbers);
        let mut order: Vec<u32> = (0..len_u32(ends.len())).collect();
        order.sort_unstable_by(|a, b| of(&text, &ends, *a).cmp(of(&text, &ends, *b)));
        let mut ranks = vec![0; order.len()];
        for (number, rank) in order.iter().zip(0..) {
            ranks[*number as usize] = rank;
        }
        Sorted {
            text,
            ends,
            order,
            ranks,
        }
    }
}

/// All strings by the numbers that they got, with their places among the sorted ones: these are their numbers in
/// the index.
pub(super) struct Sorted {
    text: String,
    ends: Vec<u32>,
    order: Vec<u32>,
    ranks: Vec<u32>,
}

impl Sorted {
    pub(super) fn text(&self, number: u32) -> &str {
        of(&self.text, &self.ends, number)
    }

    pub(super) fn rank(&self, number: u32) -> u32 {
        let rank = self.ranks.get(number as usize);
        rank.copied().unwrap_or(u32::MAX)
    }

    /// The place of a string that is there.
    pub(super) fn rank_of(&self, text: &str) -> u32 {
        let place = self
            .order
            .binary_search_by(|number| self.text(*number).cmp(text));
        place.map_or(u32::MAX, len_u32)
    }

    /// The string at a place.
    pub(super) fn at(&self, rank: u32) -> &str {
        let number = self.order.get(rank as usize);
        number.map_or("", |number| self.text(*number))
    }

    /// The sections of the strings.
    pub(super) fn sections(self) -> [(Section, Vec<u8>); 2] {
        let mut ends = Vec::with_capacity(self.order.len());
        let mut text = Vec::with_capacity(self.text.len());
        for number in &self.order {
            text.extend_from_slice(self.text(*number).as_bytes());
            ends.push(len_u32(text.len()));
        }
        [
            (Section::StringEnds, little_endian(&ends)),
            (Section::Strings, text),
        ]
    }
}

fn of<'t>(text: &'t str, ends: &[u32], number: u32) -> &'t str {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before));
    let (start, end) = (start.copied().unwrap_or(0), ends.get(number));
    let range = start as usize..end.copied().unwrap_or(start) as usize;
    text.get(range).unwrap_or_default()
}

/// Sections stay far below 4 GiB: all of CVE is under 100 MB. Beyond it the builder saturates and
/// the reader finds the index corrupt, which is told.
pub(super) fn len_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_string_has_one_number_and_one_place() {
        let mut strings = Strings::default();
        let numbers = ["b", "", "a", "b", "é", ""].map(|text| strings.number(text));
        assert_eq!(numbers, [0, 1, 2, 0, 3, 1]);
        // Whoever comes to a place that another has takes the next.
        strings.numbers.insert(xxh3_64(b"c"), 0);
        assert_eq!((strings.number("c"), strings.number("c")), (4, 4));
        let sorted = strings.sort();
        let texts = [0, 1, 2, 3, 4].map(|rank| sorted.at(rank));
        assert_eq!(texts, ["", "a", "b", "c", "é"]);
        assert_eq!(
            [0, 1, 2, 3, 4].map(|number| sorted.rank(number)),
            [2, 0, 1, 4, 3]
        );
        let [(_, ends), (_, text)] = sorted.sections();
        assert_eq!(text, "abcé".as_bytes());
        assert_eq!(ends, little_endian(&[0, 1, 2, 3, 5]));
    }
}
