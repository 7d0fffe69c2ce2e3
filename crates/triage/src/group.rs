//! What one decision settles: the rows of the queue.
//!
//! The same findings are grouped twice: by advisory, with the packages that it may concern, and by
//! package, with what one update mends.

use snowguard_advisory::severity::Rating;
use snowguard_matching::Status;

use crate::code::codes;
use crate::rank;
use crate::state::State;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SuggestionKind {
    /// An advisory and its open candidates.
    Advisory,
    /// A package, and the open advisories that one update mends.
    Package,
}

codes!(SuggestionKind, "suggestion", {
    SuggestionKind::Advisory = 0,
    SuggestionKind::Package = 1,
});

/// In which list a row stands, in the order of what needs somebody first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Affected, and nobody has decided.
    Queue,
    /// Somebody has to look whether it is affected, or at a decision that something speaks against.
    Review,
    /// Confirmed, and to be mended.
    Confirmed,
    /// Nixpkgs itself marks the package insecure because of it: there is nothing new to tell.
    Marked,
    /// The kernel has thousands, which one update mends.
    Kernel,
    /// Nothing is to be done.
    Done,
}

codes!(Bucket, "list", {
    Bucket::Queue = 0,
    Bucket::Review = 1,
    Bucket::Confirmed = 2,
    Bucket::Marked = 3,
    Bucket::Kernel = 4,
    Bucket::Done = 9,
});

impl Bucket {
    /// The word of interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Review => "review",
            Self::Confirmed => "confirmed",
            Self::Marked => "marked",
            Self::Kernel => "kernel",
            Self::Done => "done",
        }
    }

    /// Of one finding.
    pub fn of(state: State, status: Status, is_kernel: bool, marked: bool) -> Self {
        let is_there = matches!(status, Status::Affected | Status::NeedsReview);
        match state {
            State::Confirmed => Self::Confirmed,
            State::Untriaged if !is_there => Self::Done,
            State::Untriaged if marked => Self::Marked,
            State::Untriaged if is_kernel => Self::Kernel,
            State::Untriaged if status == Status::Affected => Self::Queue,
            State::Untriaged | State::NeedsReview => Self::Review,
            State::NotAffected { .. } | State::Duplicate { .. } | State::WontFix | State::Fixed => {
                Self::Done
            }
        }
    }
}

/// One finding, as far as rows depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// In which list it stands alone.
    pub bucket: Bucket,
    /// Its place.
    pub rank: i64,
    /// How bad.
    pub rating: Option<Rating>,
    /// Known to be exploited.
    pub exploited: bool,
    /// The channels that are affected, as [`channel_bit`]s.
    pub channels: i64,
    /// Who sees to it.
    pub assignee: Option<i64>,
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// In which list: that of the member that needs somebody first.
    pub bucket: Bucket,
    /// Its place.
    pub rank: i64,
    /// The worst rating.
    pub rating: Option<Rating>,
    /// Whether one is known to be exploited.
    pub exploited: bool,
    /// All channels.
    pub channels: i64,
    /// How many findings are open.
    pub findings: usize,
    /// Who sees to all of it; none where they differ.
    pub assignee: Option<i64>,
}

/// The bit of a channel by its position: those beyond the last bit share it.
pub fn channel_bit(position: i64) -> i64 {
    1 << position.clamp(0, 62)
}

/// The row of an advisory; none if nothing is to be done.
pub fn of_advisory(members: &[Member]) -> Option<Row> {
    row(members, |first, _| first)
}

/// The row of a package; none if there is only one finding, which its advisory tells as well.
pub fn of_package(members: &[Member]) -> Option<Row> {
    row(members, rank::of_many).filter(|row| row.findings > 1)
}

fn row(members: &[Member], place: impl Fn(i64, usize) -> i64) -> Option<Row> {
    let open = || {
        members
            .iter()
            .filter(|member| member.bucket != Bucket::Done)
    };
    let bucket = open().map(|member| member.bucket).min()?;
    let first = open()
        .filter(|member| member.bucket == bucket)
        .map(|member| member.rank)
        .max()?;
    let mut assignees = open().map(|member| member.assignee);
    let assignee = assignees.next().flatten();
    let findings = open().count();
    Some(Row {
        bucket,
        rank: place(first, findings),
        rating: open().filter_map(|member| member.rating).max(),
        exploited: open().any(|member| member.exploited),
        channels: open().fold(0, |all, member| all | member.channels),
        findings,
        assignee: assignee.filter(|one| assignees.all(|other| other == Some(*one))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(bucket: Bucket, rank: i64) -> Member {
        Member {
            bucket,
            rank,
            rating: None,
            exploited: false,
            channels: 1,
            assignee: None,
        }
    }

    #[test]
    fn a_row_stands_where_its_most_pressing_member_does() {
        let members = [
            member(Bucket::Done, 99),
            member(Bucket::Confirmed, 50),
            member(Bucket::Queue, 7),
        ];
        let row = of_advisory(&members).unwrap();
        assert_eq!((row.bucket, row.rank, row.findings), (Bucket::Queue, 7, 2));
        assert_eq!(of_advisory(&members[..1]), None);
    }

    #[test]
    fn one_finding_is_no_row_of_a_package() {
        assert_eq!(of_package(&[member(Bucket::Queue, 7)]), None);
        let two = of_package(&[member(Bucket::Queue, 7), member(Bucket::Queue, 8)]).unwrap();
        assert!(two.rank > 8);
    }

    #[test]
    fn a_row_is_somebodys_if_all_of_it_is() {
        let mine = Member {
            assignee: Some(3),
            ..member(Bucket::Queue, 1)
        };
        assert_eq!(of_advisory(&[mine, mine]).unwrap().assignee, Some(3));
        assert_eq!(
            of_advisory(&[mine, member(Bucket::Queue, 1)])
                .unwrap()
                .assignee,
            None
        );
    }

    #[test]
    fn what_nixpkgs_marks_and_what_the_kernel_has_do_not_fill_the_queue() {
        let of = |kernel, marked| Bucket::of(State::Untriaged, Status::Affected, kernel, marked);
        assert_eq!(of(false, false), Bucket::Queue);
        assert_eq!(of(false, true), Bucket::Marked);
        assert_eq!(of(true, false), Bucket::Kernel);
        assert_eq!(
            Bucket::of(State::Untriaged, Status::Fixed, false, false),
            Bucket::Done
        );
        assert_eq!(
            Bucket::of(State::NeedsReview, Status::Affected, true, true),
            Bucket::Review
        );
    }
}
