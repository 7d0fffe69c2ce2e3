//! What is decided once and for all advisories: which product a package is, or is not.
//!
//! A rule becomes a row of the identity table at the next re-match, so it is the same mechanism as
//! `data/identities.txt`, and needs no other explanation.

use jiff::civil::Date;
use snowguard_advisory::index::ProductView;
use snowguard_inventory::table::{InvalidTarget, Target};
use snowguard_inventory::{IdentityTable, Relation};

use crate::code::codes;

/// Whether a package is a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is: what is said of the product is said of the package.
    Accept,
    /// It is not.
    Deny,
}

codes!(Verdict, "verdict", {
    Verdict::Accept = 1,
    Verdict::Deny = 2,
});

impl Verdict {
    /// The word of interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Deny => "deny",
        }
    }

    fn relation(self) -> Relation {
        match self {
            Self::Accept => Relation::Is,
            Self::Deny => Relation::Not,
        }
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryRule {
    /// The package: `openssl`, `python:falcon`.
    pub package: String,
    /// The product, as the identity table names it: `vendor:product`, `:product`, `*:product`, a
    /// purl, `repo:host/path`.
    pub product: Target,
    /// Whether it is one.
    pub verdict: Verdict,
    /// Only in this channel, by number.
    pub channel: Option<i64>,
    /// Until which day, that day included; none for ever.
    pub expires: Option<Date>,
    /// Why.
    pub reason: String,
}

/// Why a rule cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// The product is none.
    #[error(transparent)]
    Product(#[from] InvalidTarget),
    /// The product cannot be shown on one line.
    #[error("a product is on one line, without control characters")]
    Control,
    /// A package is not every vendor's product.
    #[error("`*` may only be denied; say `:product` for whatever vendor fits")]
    AcceptsAll,
    /// There is no reason.
    #[error("a rule needs a reason: a fact that somebody else can check")]
    NoReason,
    /// The reason is longer than it may be.
    #[error("a reason has at most {limit} characters", limit = crate::act::MAX_REASON)]
    TooLong,
    /// It would never hold.
    #[error("{0} is past")]
    Past(Date),
}

impl MemoryRule {
    /// A rule out of what somebody wrote.
    pub fn new(
        package: &str,
        product: &str,
        verdict: Verdict,
        channel: Option<i64>,
        expires: Option<Date>,
        reason: &str,
        today: Date,
    ) -> Result<Self, InvalidRule> {
        if product.trim().chars().any(char::is_control) {
            return Err(InvalidRule::Control);
        }
        let product: Target = product.trim().parse()?;
        if product.is_any_vendor() && verdict == Verdict::Accept {
            return Err(InvalidRule::AcceptsAll);
        }
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        if reason.is_empty() {
            return Err(InvalidRule::NoReason);
        }
        if reason.chars().count() > crate::act::MAX_REASON {
            return Err(InvalidRule::TooLong);
        }
        if let Some(day) = expires.filter(|day| *day < today) {
            return Err(InvalidRule::Past(day));
        }
        Ok(Self {
            package: package.to_lowercase(),
            product,
            verdict,
            channel,
            expires,
            reason,
        })
    }

    /// Whether it holds on a day in a channel.
    pub fn holds(&self, today: Date, channel: i64) -> bool {
        self.expires.is_none_or(|day| today <= day) && self.channel.is_none_or(|own| own == channel)
    }

    /// Adds it to a table, before all that is there.
    pub fn add_to(&self, table: &mut IdentityTable) {
        table.add(
            &self.package,
            self.verdict.relation(),
            self.product.clone(),
            &self.reason,
        );
    }
}

/// The product that a record names, as a rule about it would: a record without a vendor is covered
/// by `:product`.
pub fn target_of(product: ProductView<'_>) -> String {
    match product {
        ProductView::Package(key) => format!("pkg:{key}"),
        ProductView::Repository(key) => format!("repo:{key}"),
        ProductView::Named { name, vendor, .. } => format!("{}:{name}", vendor.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const TODAY: Date = date(2026, 11, 21);

    fn rule(
        product: &str,
        verdict: Verdict,
        expires: Option<Date>,
        reason: &str,
    ) -> Result<MemoryRule, InvalidRule> {
        MemoryRule::new("Bolt", product, verdict, None, expires, reason, TODAY)
    }

    #[test]
    fn a_rule_is_a_row_of_the_table() {
        let rule = rule("puppet:bolt", Verdict::Deny, None, "Puppet's\ntask runner").unwrap();
        let mut table = IdentityTable::default();
        rule.add_to(&mut table);
        let verdict = table.product("bolt", &[], Some("puppet"), "bolt").unwrap();
        assert_eq!(
            (verdict.relation, verdict.reason),
            (Relation::Not, "Puppet's task runner")
        );
    }

    #[test]
    fn a_rule_ends_and_has_a_place() {
        let day = date(2026, 12, 1);
        let mut rule = rule("a:bolt", Verdict::Deny, Some(day), "x").unwrap();
        assert!(rule.holds(day, 1) && !rule.holds(date(2026, 12, 2), 1));
        rule.channel = Some(2);
        assert!(!rule.holds(day, 1) && rule.holds(day, 2));
    }

    #[test]
    fn what_is_no_rule_is_told() {
        let told = |result: Result<MemoryRule, InvalidRule>| result.unwrap_err().to_string();
        insta::assert_snapshot!(told(rule("bolt", Verdict::Deny, None, "x")), @"`bolt` is not vendor:product");
        insta::assert_snapshot!(told(rule("a\nb:bolt", Verdict::Deny, None, "x")), @"a product is on one line, without control characters");
        insta::assert_snapshot!(told(rule("*:bolt", Verdict::Accept, None, "x")), @"`*` may only be denied; say `:product` for whatever vendor fits");
        insta::assert_snapshot!(told(rule("a:bolt", Verdict::Deny, None, " ")), @"a rule needs a reason: a fact that somebody else can check");
        insta::assert_snapshot!(told(rule("a:bolt", Verdict::Deny, Some(date(2026, 1, 1)), "x")), @"2026-01-01 is past");
    }

    #[test]
    fn what_joined_names_the_rule_against_it() {
        let named = |vendor| ProductView::Named {
            name: "bolt",
            vendor,
            part: None,
            target_software: None,
        };
        for (product, target) in [
            (named(Some("puppet")), "puppet:bolt"),
            (named(None), ":bolt"),
            (ProductView::Package("pypi/bolt"), "pkg:pypi/bolt"),
            (
                ProductView::Repository("github.com/a/b"),
                "repo:github.com/a/b",
            ),
        ] {
            assert_eq!(target_of(product), target);
            assert!(target.parse::<Target>().is_ok());
        }
    }
}
