//! A published issue, as all documents are made from it.

use jiff::Timestamp;
use jiff::civil::Date;
use snowguard_advisory::identity::PackageKey;
use snowguard_matching::suppress::Justification;
use snowguard_triage::PublicId;

use super::vex::encode;
use crate::view::{Rating, Status};

/// Where the tracker is, and in whose name it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// What all addresses of its pages begin with, without a slash at the end.
    pub url: String,
    /// Who says all this.
    pub author: String,
    /// What the package set calls itself as an ecosystem: `Nixpkgs`.
    pub ecosystem: String,
}

impl Site {
    /// The page of an issue.
    pub fn issue(&self, id: &PublicId) -> String {
        format!("{}/issues/{id}", self.url)
    }

    /// The page of a finding.
    pub fn finding(&self, package: &str, advisory: &str) -> String {
        let (package, advisory) = (encode(package), encode(advisory));
        format!("{}/packages/{package}/{advisory}", self.url)
    }
}

/// What was decided about an advisory, package by package.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdicts {
    /// The advisory.
    pub advisory: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// How bad.
    pub rating: Rating,
    /// The vector of CVSS.
    pub vector: Option<String>,
    /// Since when it is known to be exploited.
    pub exploited: Option<Date>,
    /// When something of it was last decided.
    pub decided: Timestamp,
    /// The packages.
    pub packages: Vec<DecidedPackage>,
}

impl Verdicts {
    /// All names of the advisory, its own first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.advisory)
            .chain(&self.aliases)
            .map(String::as_str)
    }

    /// Whether every channel of every package that is to be mended has it behind itself.
    pub fn is_fixed(&self) -> bool {
        self.packages
            .iter()
            .filter(|package| package.decision == Decision::Confirmed)
            .flat_map(|package| &package.channels)
            .all(Standing::is_safe)
    }
}

/// What was decided about an advisory, under a public id and with the words of who published it.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// Its public id.
    pub id: PublicId,
    /// One line.
    pub title: String,
    /// More, in Markdown.
    pub text: Option<String>,
    /// First published here.
    pub published: Timestamp,
    /// When anything of it last changed here.
    pub modified: Timestamp,
    /// Taken back here.
    pub withdrawn: Option<Timestamp>,
    /// What was decided.
    pub verdicts: Verdicts,
}

/// A package about which something was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct DecidedPackage {
    /// What the tracker knows it by: `python:falcon`.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its attributes in the package set.
    pub attributes: Vec<String>,
    /// Its name as a purl.
    pub purl: PackageKey,
    /// The first version without it.
    pub fixed_in: Option<String>,
    /// What was decided.
    pub decision: Decision,
    /// Channel by channel, as they follow on one another.
    pub channels: Vec<Standing>,
}

/// What was decided about a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is affected, or was.
    Confirmed,
    /// It is affected, and stays so.
    WontFix {
        /// Why.
        reason: String,
    },
    /// It is not affected.
    NotAffected {
        /// One of VEX's reasons.
        justification: Justification,
        /// Why, in words.
        reason: String,
    },
}

/// How it stands in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub channel: String,
    /// The worst of the versions in it.
    pub status: Status,
    /// The versions of the package in it.
    pub versions: Vec<String>,
    /// With which evaluation it was fixed there, if it once was affected there.
    pub fixed: Option<FixedSince>,
}

impl Standing {
    /// Whether it has the vulnerability behind itself.
    pub fn is_safe(&self) -> bool {
        matches!(
            self.status,
            Status::Fixed | Status::NotAffected | Status::Patched
        )
    }
}

/// An evaluation with a fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedSince {
    /// Its commit.
    pub revision: String,
    /// When it was made.
    pub at: Timestamp,
}
