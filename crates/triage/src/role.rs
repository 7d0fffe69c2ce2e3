//! Who may do what.

use serde::{Deserialize, Serialize};

use crate::code::codes;

/// What somebody is on this tracker.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads, as everybody may.
    #[default]
    Reader,
    /// Acts on the packages that name them as maintainer.
    Maintainer,
    /// Acts on all packages.
    Security,
    /// Gives roles as well.
    Admin,
}

codes!(Role, "role", {
    Role::Reader = 0,
    Role::Maintainer = 1,
    Role::Security = 2,
    Role::Admin = 3,
});

impl Role {
    /// The word of interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Maintainer => "maintainer",
            Self::Security => "security",
            Self::Admin => "admin",
        }
    }
}

/// What somebody is with regard to one package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Their role.
    pub role: Role,
    /// Whether the package names them as maintainer.
    pub maintains: bool,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Decide about a finding of a package, assign it, comment on it, undo one's own.
    Triage,
    /// Undo what others did.
    UndoOthers,
    /// Give others something to look after.
    AssignOthers,
    /// Say once which product a package is or is not, for all advisories.
    Remember,
    /// Give a confirmed finding its public id.
    Publish,
    /// Leave a channel out of account.
    DropChannel,
    /// Give roles.
    Administer,
}

impl Standing {
    /// A standing.
    pub fn new(role: Role, maintains: bool) -> Self {
        Self { role, maintains }
    }

    /// Whether one may.
    pub fn may(self, right: Right) -> bool {
        match right {
            Right::Triage | Right::Remember => {
                self.role >= Role::Security || self.role == Role::Maintainer && self.maintains
            }
            Right::UndoOthers | Right::AssignOthers | Right::Publish | Right::DropChannel => {
                self.role >= Role::Security
            }
            Right::Administer => self.role == Role::Admin,
        }
    }

    /// The least that one must be, for who is refused: one sentence without a full stop.
    pub fn needed(right: Right) -> &'static str {
        match right {
            Right::Triage | Right::Remember => {
                "maintainers of the package and the security team may do this"
            }
            Right::UndoOthers => "the security team may undo what others did",
            Right::AssignOthers => {
                "one takes things on oneself; the security team may give them to others"
            }
            Right::Publish | Right::DropChannel => "the security team may do this",
            Right::Administer => "administrators may do this",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintainers_act_on_their_packages_only() {
        let own = Standing::new(Role::Maintainer, true);
        let other = Standing::new(Role::Maintainer, false);
        assert!(own.may(Right::Triage) && own.may(Right::Remember));
        assert!(!other.may(Right::Triage) && !other.may(Right::Remember));
        assert!(!own.may(Right::UndoOthers) && !own.may(Right::Publish));
        assert!(!own.may(Right::AssignOthers));
        // Who is named by a package and has no role here reads.
        assert!(!Standing::new(Role::Reader, true).may(Right::Triage));
    }

    #[test]
    fn the_security_team_acts_on_all_and_gives_no_roles() {
        let security = Standing::new(Role::Security, false);
        assert!(security.may(Right::Triage) && security.may(Right::Publish));
        assert!(!security.may(Right::Administer));
        assert!(Standing::new(Role::Admin, false).may(Right::Administer));
    }
}
