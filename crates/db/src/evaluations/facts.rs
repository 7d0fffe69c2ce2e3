//! Bodies of facts, packed: each is small and looks like all others, so that they share a dictionary.

use std::cell::RefCell;

use snowguard_inventory::Fact;

use crate::DbError;

/// Packs many bodies, one after the other.
pub(super) struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    pub(super) fn new() -> Result<Self, DbError> {
        zstd::bulk::Compressor::with_dictionary(LEVEL, DICTIONARY)
            .map(Self)
            .map_err(|error| wrong(error.to_string()))
    }

    pub(super) fn pack(&mut self, json: &[u8]) -> Result<Vec<u8>, DbError> {
        let packed = self
            .0
            .compress(json)
            .map_err(|error| wrong(error.to_string()))?;
        let length = u32::try_from(json.len()).map_err(|_| wrong("it is too long".to_owned()))?;
        let mut body = Vec::with_capacity(packed.len() + 5);
        body.push(FORMAT);
        body.extend(length.to_le_bytes());
        body.extend(packed);
        Ok(body)
    }
}

/// Reads a body.
pub(super) fn unpack(body: &[u8]) -> Result<Fact, DbError> {
    thread_local! {
        static UNPACKER: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    let Some(([FORMAT, length @ ..], packed)) = body.split_first_chunk::<5>() else {
        return Err(wrong("it has another format".to_owned()));
    };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(wrong("it is too long".to_owned()));
    }
    let json = UNPACKER.with_borrow_mut(|unpacker| {
        let unpacker = match unpacker {
            Some(unpacker) => unpacker,
            None => unpacker.insert(zstd::bulk::Decompressor::with_dictionary(DICTIONARY)?),
        };
        unpacker.decompress(packed, length)
    });
    let json = json.map_err(|error| wrong(error.to_string()))?;
    Fact::decode(&json).map_err(|error| wrong(error.to_string()))
}

fn wrong(reason: String) -> DbError {
    DbError::Content {
        what: "the body of a fact".to_owned(),
        reason,
    }
}

/// Names this dictionary: another one would be another number.
const FORMAT: u8 = 1;
const LEVEL: i32 = 9;
const LONGEST: usize = 16 << 20;

/// What facts begin with and repeat: the names of their members, and beginnings that are common in
/// Nixpkgs. It is part of the format.
const DICTIONARY: &[u8] = br#"","text":{"cves":["CVE-20","commits":["}},"phase_cves":["CVE-20"],"toolchain":"cargo","toolchain":"go"https://crates.io/api/v1/crates/https://registry.npmjs.org/https://rubygems.org/gems/mirror://gnu/mirror://sourceforge/mirror://kernel/mirror://cpan/authors/id/mirror://gnome/sources/mirror://kde/stable/https://gitlab.com/-/archive/https://files.pythonhosted.org/packages/mirror://pypi/https://hackage.haskell.org/package/https://metacpan.org/release/https://cran.r-project.org/web/packages/https://www.gnu.org/software/https://sourceforge.net/projects/https://pypi.org/project/"marks":["broken","insecure","unsupported","unfree"],"build":{"sources":[{"name":".tar.bz2","urls":["http://.tar.xz","urls":["https://"patches":[{"name":"fix-CVE-20.patch","path":"/nix/store/","urls":["https://github.com//commit/.patch"]"teams":[{"name":"","github":""}],"cpes":[["",""]],"purls":["pypi/","github/"],"known_vulnerabilities":["CVE-20pkgs/development/haskell-modules/hackage-packages.nix:pkgs/development/python-modules/pkgs/development/perl-modules/pkgs/top-level/perl-packages.nix:pkgs/applications/editors/pkgs/servers/pkgs/tools/misc/pkgs/by-name/package.nix:{"pname":"","description":" for the of and in to with a tool library","position":"pkgs/development/libraries/default.nix:","homepages":["https://github.com/"],"maintainers":[""],"build":{"sources":[{"name":"source","urls":["https://github.com//archive/refs/tags/v.tar.gz"]}]}}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_as_it_was_written() {
        let fact = Fact {
            homepages: vec!["https://github.com/someone/something".into()],
            position: Some("pkgs/development/libraries/something/default.nix:12".into()),
            maintainers: vec!["someone".into()],
            ..Fact::default()
        };
        let json = fact.encode();
        let body = Packer::new().unwrap().pack(&json).unwrap();
        assert!(
            body.len() * 2 < json.len(),
            "{} of {}",
            body.len(),
            json.len()
        );
        assert_eq!(unpack(&body).unwrap(), fact);
    }

    #[test]
    fn other_bytes_are_told() {
        let body = Packer::new().unwrap().pack(b"{}").unwrap();
        assert!(unpack(&body).is_ok());
        for bytes in [
            &[][..],
            &[1, 0, 0, 0],
            &[2, 0, 0, 0, 0, 0],
            &[1, 255, 255, 255, 255],
            &body[..7],
        ] {
            let text = unpack(bytes).unwrap_err().to_string();
            assert!(text.starts_with("read the body of a fact: "), "{text}");
        }
    }
}
