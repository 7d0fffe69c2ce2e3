//! The commands about signed statements and their keys.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};

use super::PlainFormat;

#[derive(Subcommand)]
pub(crate) enum Attest {
    /// Signs a statement
    Sign(Sign),
    /// Tells whether a signed statement counts, and prints what it says
    Verify(Verify),
    /// Prints a statement without checking who signed it
    Show(Show),
    /// Keys, and the keyring that says when each is in force
    #[command(
        subcommand,
        after_help = "\
Examples:
  snowguard attest key new ci-1 --keyring keyring.json
  snowguard attest key rotate ci-1 ci-2 --keyring keyring.json
  snowguard attest key revoke ci-1 --reason compromised --keyring keyring.json"
    )]
    Key(Key),
}

/// Where secret keys lie.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Keys {
    /// The directory of the secret keys, open to nobody else
    /// [default: `$XDG_DATA_HOME/snowguard/keys`]
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<Utf8PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
The statement is written in its canonical form, whatever form it comes in.

Example:
  snowguard attest sign statement.json --key ci-1 --output statement.dsse.json")]
pub(crate) struct Sign {
    /// An in-toto statement of a known kind; - for stdin
    #[arg(value_name = "FILE")]
    pub(crate) input: Utf8PathBuf,
    /// The name of the key; may be repeated
    #[arg(long, value_name = "NAME", required = true)]
    pub(crate) key: Vec<String>,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// Where to print [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<Utf8PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
A key that was revoked as compromised leaves open when it signed what: whoever
has it can write any time. Say with --existed-by since when you know of the
statement, from a log or from your own records.

Examples:
  snowguard attest verify fod.dsse.json --keyring keyring.json
  snowguard attest verify fod.dsse.json --keyring keyring.json \\
    --existed-by 2026-01-31T12:00:00Z

Exit status: 0 valid, 1 not valid or not to be decided, 2 failure.")]
pub(crate) struct Verify {
    /// The signed statement; - for stdin
    #[arg(value_name = "FILE")]
    pub(crate) input: Utf8PathBuf,
    /// The keys that are trusted
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Utf8PathBuf,
    /// A time at which the signature existed, on somebody's word whom you trust
    #[arg(long, value_name = "TIME")]
    pub(crate) existed_by: Option<String>,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: PlainFormat,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  snowguard attest show fod.dsse.json")]
pub(crate) struct Show {
    /// A statement, signed or not; - for stdin
    #[arg(value_name = "FILE")]
    pub(crate) input: Utf8PathBuf,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: PlainFormat,
}

#[derive(Subcommand)]
pub(crate) enum Key {
    /// Makes a key, and prints its public half
    New(New),
    /// Takes a public key into a keyring, or anew where it is in doubt
    Add(Add),
    /// Prints keys: those of a keyring with their times, or the public half of one's own
    Show(ShowKey),
    /// Makes a key that takes over from another, which signs that
    Rotate(Rotate),
    /// Ends the time of a key
    Revoke(Revoke),
    /// Takes a later edition of a keyring over, if it follows from the one that is here
    Accept(Accept),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard attest key new ci-1 --keyring keyring.json
  snowguard attest key new ci-1 > ci-1.public")]
pub(crate) struct New {
    /// The name of the key
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// Also puts it into this keyring, which is made if it is not there
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Option<Utf8PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Nobody vouches for it but you. A key of the keyring is in doubt when one before
it may have been in others' hands as it handed on; added anew it counts again,
with the time that it had.

Example:
  snowguard attest key add \"$(snowguard attest key show ci-2)\" \\
    --keyring keyring.json")]
pub(crate) struct Add {
    /// The public key, as `key new` and `key show` print it
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    /// The keyring, which is made if it is not there
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Utf8PathBuf,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  snowguard attest key show ci-1
  snowguard attest key show --keyring keyring.json")]
pub(crate) struct ShowKey {
    /// The name of a key [default: all of the keyring]
    #[arg(value_name = "NAME", required_unless_present = "keyring")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// The keyring in which to look, and not at the secret keys
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Option<Utf8PathBuf>,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: PlainFormat,
}

#[derive(Args)]
#[command(after_help = "\
The old key stays in the keyring, and what it signed stays valid. After its end
its secret half can be destroyed.

Example:
  snowguard attest key rotate ci-1 ci-2 --keyring keyring.json \\
    --until 2026-12-31T00:00:00Z")]
pub(crate) struct Rotate {
    /// The key that hands on
    #[arg(value_name = "OLD")]
    pub(crate) old: String,
    /// The name of the new key
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// The keyring that has the old key
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Utf8PathBuf,
    /// Until when the old key counts beside the new one [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

#[derive(Args)]
#[command(override_usage = "snowguard attest key revoke --keyring <FILE> --reason <WHY> <NAME>")]
#[command(after_help = "\
Of a key that somebody else may have had, --at is the earliest time at which it
was so. Keys that took over from it at that time or later, and those that took
over from these, are in doubt until `key add` adds them anew. Nothing takes a
revocation back.

Examples:
  snowguard attest key revoke ci-1 --reason compromised \\
    --at 2026-01-15T00:00:00Z --note 'a backup was lost' --keyring keyring.json
  snowguard attest key revoke ci-1 --reason retired --keyring keyring.json")]
pub(crate) struct Revoke {
    /// The name or the id of the key
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The keyring
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Utf8PathBuf,
    /// Why
    #[arg(long, value_enum, value_name = "WHY")]
    pub(crate) reason: Why,
    /// From when nothing that it signs counts [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// More about it, for people
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Why {
    /// Somebody else may have had it
    Compromised,
    /// It was put away or destroyed
    Retired,
    /// Another key has taken over
    Superseded,
}

#[derive(Args)]
#[command(after_help = "\
A later edition follows if it takes nothing back and every new key in it is
signed by a key that was there. Else nothing is changed.

Example:
  snowguard attest key accept downloaded.json --keyring keyring.json")]
pub(crate) struct Accept {
    /// The later edition; - for stdin
    #[arg(value_name = "FILE")]
    pub(crate) input: Utf8PathBuf,
    /// The keyring that is here
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Utf8PathBuf,
}
