//! The reviewed table: which product a package is, and which it is not, where rules cannot tell.
//!
//! One statement a line, with a reason:
//!
//! ```text
//! # package      relation  identity            # reason
//! nodejs         is        nodejs:node.js      # the name of the product has a dot
//! bolt           not       puppet:bolt         # Puppet's task runner; this is the Thunderbolt daemon
//! foreman        not       *:foreman           # theforeman.org's; this runs Procfiles
//! ```
//!
//! A package is a `pname` in lower case, or `python:falcon` for a module of a language; `helm@tytel`
//! is a `helm` in one of whose URLs the word `tytel` names who offers it. An identity
//! is `vendor:product`, `:product` (any vendor that fits, or none), `*:product` (whatever the
//! vendor; only after `not`), a purl without version, or `repo:host/path`. Statements of a user go
//! before the built-in ones.

use std::fmt;
use std::str::FromStr;

use rustc_hash::FxHashMap;
use snowguard_advisory::identity::{Name, PackageKey, RepoKey};

use crate::origin::Mark;

/// The built-in table.
const BUILTIN: &str = include_str!("../../../data/identities.txt");

/// A table of statements.
#[derive(Clone, Debug, Default)]
pub struct IdentityTable {
    statements: FxHashMap<Box<str>, Vec<Statement>>,
}

/// One statement about a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Whether the package is the thing.
    pub relation: Relation,
    /// The thing.
    pub target: Target,
    /// Why.
    pub reason: Box<str>,
    /// Who says so: the built-in table or a user's.
    pub by_user: bool,
    /// Only for packages with this word among their marks.
    pub only_with_mark: Option<Box<str>>,
}

/// Whether a package is a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is.
    Is,
    /// It is not.
    Not,
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `vendor:product`; without a vendor, whatever vendor fits.
    Product {
        /// Who makes it.
        vendor: VendorPattern,
        /// What it is called.
        product: Name,
    },
    /// A package of a registry.
    Package(PackageKey),
    /// A repository.
    Repository(RepoKey),
}

/// The vendor of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VendorPattern {
    /// This one.
    Exactly(Name),
    /// Nothing is said about it: the rules decide.
    Fitting,
    /// Every one.
    Any,
}

/// What the table says of a package and a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'t> {
    /// Same or not.
    pub relation: Relation,
    /// Why.
    pub reason: &'t str,
    /// Whether a user says so.
    pub by_user: bool,
}

impl IdentityTable {
    /// The built-in table.
    pub fn builtin() -> Self {
        let mut table = Self::default();
        // The table is part of the program, and a test reads it: a line that does not fit is left out.
        table.read("data/identities.txt", BUILTIN, false, &mut |_| {});
        table
    }

    /// Adds a user's statements, which go before all others.
    pub fn add_user(&mut self, file: &str, text: &str) -> Result<(), TableError> {
        let mut first = None;
        self.read(file, text, true, &mut |error| {
            first.get_or_insert(error);
        });
        first.map_or(Ok(()), Err)
    }

    /// Adds one statement of a user about a package, by the name under which the table has packages.
    /// It goes before all that are there.
    pub fn add(&mut self, package: &str, relation: Relation, target: Target, reason: &str) {
        let statement = Statement {
            relation,
            target,
            reason: reason.into(),
            by_user: true,
            only_with_mark: None,
        };
        let statements = self.statements.entry(package.to_lowercase().into());
        statements.or_default().insert(0, statement);
    }

    fn read(&mut self, file: &str, text: &str, by_user: bool, told: &mut dyn FnMut(TableError)) {
        for (at, line) in text.lines().enumerate() {
            match statement(line, by_user) {
                Ok(None) => {}
                Ok(Some((package, statement))) => {
                    let statements = self.statements.entry(package).or_default();
                    let place = if by_user { 0 } else { statements.len() };
                    statements.insert(place, statement);
                }
                Err(why) => told(TableError {
                    file: file.to_owned(),
                    line: at + 1,
                    why,
                }),
            }
        }
    }

    /// All statements, package by package, in no order.
    pub fn all(&self) -> impl Iterator<Item = (&str, &[Statement])> {
        let all = self.statements.iter();
        all.map(|(package, statements)| (&**package, statements.as_slice()))
    }

    /// All statements about a package.
    pub fn statements(&self, package: &str) -> &[Statement] {
        self.statements.get(package).map_or(&[], Vec::as_slice)
    }

    /// What the table says of a package and a product with a vendor (or none).
    ///
    /// A statement about this vendor goes before one about every vendor.
    pub fn product(
        &self,
        package: &str,
        marks: &[(Mark, Box<str>)],
        vendor: Option<&str>,
        product: &str,
    ) -> Option<Verdict<'_>> {
        let statements = self.statements(package);
        let about = |pattern: fn(&VendorPattern, Option<&str>) -> bool| {
            statements
                .iter()
                .filter(|s| s.holds_for(marks))
                .find(|s| match &s.target {
                    Target::Product {
                        vendor: v,
                        product: p,
                    } => p.as_str() == product && pattern(v, vendor),
                    Target::Package(_) | Target::Repository(_) => false,
                })
        };
        let exactly = about(
            |pattern, vendor| matches!((pattern, vendor), (VendorPattern::Exactly(v), Some(vendor)) if v.as_str() == vendor),
        );
        let any = || about(|pattern, _| *pattern == VendorPattern::Any);
        // A statement that leaves the vendor open covers records that name none.
        let fitting =
            || about(|pattern, vendor| vendor.is_none() && *pattern == VendorPattern::Fitting);
        exactly
            .or_else(fitting)
            .or_else(any)
            .map(Statement::verdict)
    }

    /// What the table says of a package and a registry's package.
    pub fn package(&self, package: &str, key: &str) -> Option<Verdict<'_>> {
        let mut statements = self.statements(package).iter();
        statements
            .find(|s| matches!(&s.target, Target::Package(k) if k.as_str() == key))
            .map(Statement::verdict)
    }

    /// How many statements there are.
    pub fn len(&self) -> usize {
        self.statements.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

impl Statement {
    /// Whether the statement is about a package with these marks.
    pub fn holds_for(&self, marks: &[(Mark, Box<str>)]) -> bool {
        self.only_with_mark
            .as_ref()
            .is_none_or(|word| marks.iter().any(|(mark, _)| *mark.word == **word))
    }

    fn verdict(&self) -> Verdict<'_> {
        Verdict {
            relation: self.relation,
            reason: &self.reason,
            by_user: self.by_user,
        }
    }
}

fn statement(line: &str, by_user: bool) -> Result<Option<(Box<str>, Statement)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (head, reason) = line
        .split_once(" #")
        .ok_or("there is no ` # reason` at the end")?;
    let reason = reason.trim();
    if reason.is_empty() {
        return Err("the reason is empty".into());
    }
    let mut words = head.split_ascii_whitespace();
    let (Some(package), Some(relation), Some(target), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("expected `package is|not identity # reason`".into());
    };
    let relation = match relation {
        "is" => Relation::Is,
        "not" => Relation::Not,
        other => return Err(format!("`{other}` is neither `is` nor `not`")),
    };
    let target: Target = target.parse().map_err(|InvalidTarget(why)| why)?;
    if target.is_any_vendor() && relation == Relation::Is {
        return Err(
            "`*` may stand only after `not`; say `:product` for whatever vendor fits".into(),
        );
    }
    let (package, mark) = match package.split_once('@') {
        Some((package, mark)) => (package, Some(mark.into())),
        None => (package, None),
    };
    let statement = Statement {
        relation,
        target,
        reason: reason.into(),
        by_user,
        only_with_mark: mark,
    };
    Ok(Some((package.to_lowercase().into(), statement)))
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        if text.starts_with("pkg:") {
            return PackageKey::from_purl(text)
                .map(Self::Package)
                .map_err(|e| InvalidTarget(e.to_string()));
        }
        if let Some(repo) = text.strip_prefix("repo:") {
            let key = RepoKey::from_url(&format!("https://{repo}"));
            return key
                .map(Self::Repository)
                .ok_or_else(|| InvalidTarget(format!("`{repo}` is not host/path")));
        }
        let (vendor, product) = text
            .split_once(':')
            .ok_or_else(|| InvalidTarget(format!("`{text}` is not vendor:product")))?;
        let product = Name::new(product)
            .ok_or_else(|| InvalidTarget(format!("`{text}` names no product")))?;
        let vendor = match vendor {
            "" => VendorPattern::Fitting,
            "*" => VendorPattern::Any,
            vendor => VendorPattern::Exactly(
                Name::new(vendor)
                    .ok_or_else(|| InvalidTarget(format!("`{text}` names no vendor")))?,
            ),
        };
        Ok(Self::Product { vendor, product })
    }
}

impl Target {
    /// Whether it is of whatever vendor, which may only be denied.
    pub fn is_any_vendor(&self) -> bool {
        matches!(
            self,
            Self::Product {
                vendor: VendorPattern::Any,
                ..
            }
        )
    }
}

/// As the table has it: what is written is read as the same.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Product { vendor, product } => match vendor {
                VendorPattern::Exactly(vendor) => write!(f, "{vendor}:{product}"),
                VendorPattern::Fitting => write!(f, ":{product}"),
                VendorPattern::Any => write!(f, "*:{product}"),
            },
            Self::Package(key) => f.write_str(&key.to_purl(None)),
            Self::Repository(key) => write!(f, "repo:{}", key.as_str()),
        }
    }
}

/// A text that names no product, package or repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTarget(String);

/// A line of a table that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {why}")]
pub struct TableError {
    /// Which file.
    pub file: String,
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Is => "is",
            Self::Not => "not",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_sound_and_sorted() {
        let mut table = IdentityTable::default();
        table.read("data/identities.txt", BUILTIN, false, &mut |error| {
            panic!("{error}")
        });
        assert!(!table.is_empty());
        let lines: Vec<&str> = BUILTIN
            .lines()
            .filter(|l| !l.starts_with('#') && !l.trim().is_empty())
            .collect();
        let key = |line: &str| {
            line.split_ascii_whitespace()
                .take(3)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for pair in lines.windows(2) {
            assert!(
                key(pair[0]) < key(pair[1]),
                "out of order or twice: {} / {}",
                pair[0],
                pair[1]
            );
        }
    }

    #[test]
    fn exact_vendors_go_before_all_vendors_and_users_before_us() {
        let mut table = IdentityTable::default();
        let text = "x not *:x # none of them\nx is good:x # but this one\n";
        table.read("t", text, false, &mut |error| panic!("{error}"));
        let relation = |table: &IdentityTable, vendor| {
            table.product("x", &[], vendor, "x").map(|v| v.relation)
        };
        assert_eq!(relation(&table, Some("good")), Some(Relation::Is));
        assert_eq!(relation(&table, Some("bad")), Some(Relation::Not));
        assert_eq!(relation(&table, None), Some(Relation::Not));
        table.add_user("u", "X is bad:x # I know better").unwrap();
        assert_eq!(relation(&table, Some("bad")), Some(Relation::Is));
    }

    #[test]
    fn targets_are_read_as_they_are_written() {
        for text in [
            "nodejs:node.js",
            ":bolt",
            "*:x",
            "pkg:pypi/werkzeug",
            "repo:github.com/a/b",
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
            assert_eq!(target.to_string().parse(), Ok(target));
        }
    }

    #[test]
    fn a_statement_that_is_added_goes_first() {
        let mut table = IdentityTable::default();
        table.add(
            "X@y z",
            Relation::Not,
            "a:x".parse().unwrap(),
            "another thing",
        );
        table.add(
            "X@y z",
            Relation::Is,
            "a:x".parse().unwrap(),
            "the same after all",
        );
        let verdict = table.product("x@y z", &[], Some("a"), "x").unwrap();
        assert_eq!((verdict.relation, verdict.by_user), (Relation::Is, true));
    }

    #[test]
    fn errors_name_the_place() {
        let error = |text| {
            IdentityTable::default()
                .add_user("my.txt", text)
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(error("# fine\nx is a:b"), @"my.txt, line 2: there is no ` # reason` at the end");
        insta::assert_snapshot!(error("x was a:b # y"), @"my.txt, line 1: `was` is neither `is` nor `not`");
        insta::assert_snapshot!(error("x is *:b # y"), @"my.txt, line 1: `*` may stand only after `not`; say `:product` for whatever vendor fits");
        insta::assert_snapshot!(error("x is b # y"), @"my.txt, line 1: `b` is not vendor:product");
    }
}
