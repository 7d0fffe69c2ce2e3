//! Lists within an item of the index, decoded as they are walked.

use super::items::ProductView;
use super::layout::{Corrupt, Reader, holds, number_at};
use super::view::VulnerabilityId;
use crate::cpe::Part;
use crate::range::{Lower, Rule, Span, Status, Upper};

/// The vulnerabilities of a record, decoded as they are walked.
#[derive(Clone)]
pub struct VulnerabilityList<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) left: usize,
    pub(super) stamp: u32,
    pub(super) superseded: &'a [u8],
}

impl Iterator for VulnerabilityList<'_> {
    type Item = VulnerabilityId;

    fn next(&mut self) -> Option<VulnerabilityId> {
        loop {
            self.left = self.left.checked_sub(1)?;
            let number = self.reader.index().ok()?;
            if !holds(self.superseded, number) {
                return Some(VulnerabilityId(number | self.stamp));
            }
        }
    }
}

impl std::fmt::Debug for VulnerabilityList<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The products of an entry, decoded as they are walked.
#[derive(Clone)]
pub struct ProductList<'a> {
    pub(super) strings: Strings<'a>,
    pub(super) reader: Reader<'a>,
    pub(super) left: usize,
}

impl ProductList<'_> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for ProductList<'a> {
    type Item = ProductView<'a>;

    fn next(&mut self) -> Option<ProductView<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.strings.product(&mut self.reader).ok()
    }
}

impl std::fmt::Debug for ProductList<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The rules of an entry, decoded as they are walked.
#[derive(Clone)]
pub struct RuleList<'a> {
    pub(super) strings: Strings<'a>,
    pub(super) reader: Reader<'a>,
    pub(super) left: usize,
}

impl<'a> Iterator for RuleList<'a> {
    type Item = Rule<&'a str>;

    fn next(&mut self) -> Option<Rule<&'a str>> {
        self.left = self.left.checked_sub(1)?;
        self.strings.rule(&mut self.reader).ok()
    }
}

impl std::fmt::Debug for RuleList<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// All that lists need of an index to decode their items: a tenth of its size, in each of thousands.
#[derive(Clone, Copy)]
pub(super) struct Strings<'a> {
    pub(super) ends: &'a [u8],
    pub(super) text: &'a str,
}

impl<'a> Strings<'a> {
    pub(super) fn product(self, r: &mut Reader<'a>) -> Result<ProductView<'a>, Corrupt> {
        let shape = r.byte()?;
        let text = self.string(r.index()?)?;
        Ok(match shape & 3 {
            0 => ProductView::Package(text),
            1 => ProductView::Repository(text),
            _ => ProductView::Named {
                name: text,
                vendor: if shape >> 2 & 1 == 1 {
                    Some(self.string(r.index()?)?)
                } else {
                    None
                },
                target_software: if shape >> 3 & 1 == 1 {
                    Some(self.string(r.index()?)?)
                } else {
                    None
                },
                part: match shape >> 4 {
                    1 => Some(Part::Application),
                    2 => Some(Part::OperatingSystem),
                    3 => Some(Part::Hardware),
                    _ => None,
                },
            },
        })
    }

    fn rule(self, r: &mut Reader<'a>) -> Result<Rule<&'a str>, Corrupt> {
        let head = r.byte()?;
        let status = status(head & 3).ok_or(r.corrupt())?;
        let span = match head >> 2 {
            0 => Span::Exact(self.string(r.index()?)?),
            1 => Span::Text(self.string(r.index()?)?),
            shape => {
                let lower = match (shape - 2) % 3 {
                    0 => Lower::Start,
                    1 => Lower::From(self.string(r.index()?)?),
                    _ => Lower::After(self.string(r.index()?)?),
                };
                let upper = match (shape - 2) / 3 {
                    0 => Upper::Open,
                    1 => Upper::Before(self.string(r.index()?)?),
                    2 => Upper::UpTo(self.string(r.index()?)?),
                    3 => Upper::Within(self.string(r.index()?)?),
                    _ => return Err(r.corrupt()),
                };
                Span::Between(lower, upper)
            }
        };
        Ok(Rule { status, span })
    }

    pub(super) fn optional_string(self, r: &mut Reader<'a>) -> Result<Option<&'a str>, Corrupt> {
        match r.number()?.checked_sub(1) {
            None => Ok(None),
            Some(number) => u32::try_from(number)
                .map_err(|_| r.corrupt())
                .and_then(|n| self.string(n))
                .map(Some),
        }
    }

    pub(super) fn string(self, number: u32) -> Result<&'a str, Corrupt> {
        range_of(self.ends, number)
            .and_then(|range| self.text.get(range))
            .ok_or(Corrupt("strings"))
    }
}

pub(super) fn range_of(ends: &[u8], number: u32) -> Option<std::ops::Range<usize>> {
    let number = number as usize;
    let end = number_at(ends, number)? as usize;
    let start = match number.checked_sub(1) {
        Some(previous) => number_at(ends, previous)? as usize,
        None => 0,
    };
    Some(start..end)
}

pub(super) fn status(bits: u8) -> Option<Status> {
    [Status::Affected, Status::Unaffected, Status::Unknown]
        .get(usize::from(bits))
        .copied()
}
