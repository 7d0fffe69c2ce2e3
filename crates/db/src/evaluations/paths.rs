//! Store paths of a derivation and its outputs, in few bytes.
//!
//! What follows from the package's name is left out: a path is its 20 bytes of hash, unless it is named
//! otherwise than its derivation, or lies in another store. `docs/src/reference/evaluation-delta.md`
//! describes the bytes.

use snowguard_store::{OutputName, StoreDir, StoreName, StorePath};

/// How long a digest in a store path is.
pub const DIGEST: usize = StorePath::DIGEST_LEN;

/// An output: its name, and its path where that is told.
pub type Output = (Box<str>, Option<Box<str>>);

/// Packs the path of a derivation; nothing if it is no store path.
pub fn pack_drv(name: &str, path: &str) -> Option<Vec<u8>> {
    let mut packed = Vec::with_capacity(DIGEST);
    match Kind::of(path, &format!("{name}.drv"))? {
        Kind::Usual(digest) => packed.extend(digest),
        kind => kind.write(&mut packed, 0),
    }
    Some(packed)
}

/// The path of a derivation that was packed under the same name.
pub fn unpack_drv(name: &str, packed: &[u8]) -> Option<String> {
    if let Ok(digest) = packed.try_into() {
        return show(digest, &format!("{name}.drv"));
    }
    let mut bytes = packed;
    let (kind, code) = Kind::read(&mut bytes)?;
    // One form for each path: the usual one has no head.
    let is_usual = match kind {
        Kind::Untold | Kind::Usual(_) => true,
        Kind::Named(_, named) => named.strip_suffix(".drv") == Some(name),
        Kind::Elsewhere(_) => false,
    };
    (bytes.is_empty() && code == 0 && !is_usual).then(|| kind.path(""))?
}

/// Packs outputs; nothing if there are none, or if one has no name of an output.
pub fn pack_outputs(name: &str, outputs: &[Output]) -> Option<Vec<u8>> {
    let mut packed = Vec::with_capacity(outputs.len() * (DIGEST + 1));
    for (output, path) in outputs.iter().take(MOST_OUTPUTS) {
        let output = OutputName::new(&**output).ok()?;
        let usual = usual_name(name, &output);
        // A path that is none was not told.
        let kind = path
            .as_deref()
            .and_then(|path| Kind::of(path, &usual))
            .unwrap_or(Kind::Untold);
        match USUAL.iter().position(|usual| *usual == output.as_str()) {
            Some(code) => kind.write(&mut packed, code),
            None => {
                kind.write(&mut packed, OTHER);
                write_text(&mut packed, output.as_str());
            }
        }
    }
    (!packed.is_empty()).then_some(packed)
}

/// The outputs that were packed under the same name.
pub fn unpack_outputs(name: &str, packed: &[u8]) -> Option<Vec<Output>> {
    let mut outputs = Vec::new();
    each_output(packed, |output, kind, _| {
        let path = kind.path(&usual_name(name, &output));
        outputs.push((output.as_str().into(), path.map(Into::into)));
    })?;
    Some(outputs)
}

/// Sets the digests of packed paths anew, in their order: of a derivation, or of outputs. Nothing is
/// changed where the bytes are none.
pub fn set_digests(packed: &mut [u8], is_drv: bool, mut next: impl FnMut() -> [u8; DIGEST]) {
    for at in digests(packed, is_drv).unwrap_or_default() {
        packed[at..at + DIGEST].copy_from_slice(&next());
    }
}

/// Where the digests of packed paths are: those of outputs, or that of a derivation.
pub(super) fn digests(packed: &[u8], is_drv: bool) -> Option<Vec<usize>> {
    if is_drv && packed.len() == DIGEST {
        return Some(vec![0]);
    }
    let mut places = Vec::new();
    if is_drv {
        let mut bytes = packed;
        let (kind, _) = Kind::read(&mut bytes)?;
        places.extend(kind.has_digest().then_some(1));
    } else {
        each_output(packed, |_, kind, at| {
            places.extend(kind.has_digest().then_some(at + 1));
        })?;
    }
    Some(places)
}

const MOST_OUTPUTS: usize = 64;
/// Names of outputs that are a number each. The order is part of the format.
const USUAL: [&str; 12] = [
    "out", "bin", "dev", "lib", "man", "doc", "info", "devdoc", "debug", "static", "data", "dist",
];
/// The number of all other names.
const OTHER: usize = 63;
/// The longest text that is taken.
const LONGEST: u8 = 255;

/// How a path is told.
enum Kind<'p> {
    Untold,
    /// By its digest; its name follows from the package's.
    Usual([u8; DIGEST]),
    /// By its digest and its name.
    Named([u8; DIGEST], &'p str),
    /// As it is: in another store.
    Elsewhere(&'p str),
}

impl<'p> Kind<'p> {
    fn of(path: &'p str, usual: &str) -> Option<Self> {
        let (dir, parsed) = StoreDir::split(path).ok()?;
        if dir != StoreDir::default() {
            return (path.len() <= usize::from(LONGEST)).then_some(Self::Elsewhere(path));
        }
        if parsed.name().as_str() == usual {
            return Some(Self::Usual(parsed.digest()));
        }
        let name = &path[path.len() - parsed.name().as_str().len()..];
        Some(Self::Named(parsed.digest(), name))
    }

    fn path(&self, usual: &str) -> Option<String> {
        match self {
            Self::Untold => None,
            Self::Usual(digest) => show(*digest, usual),
            Self::Named(digest, name) => show(*digest, name),
            Self::Elsewhere(path) => Some((*path).to_owned()),
        }
    }

    fn has_digest(&self) -> bool {
        matches!(self, Self::Usual(_) | Self::Named(..))
    }

    fn write(&self, to: &mut Vec<u8>, code: usize) {
        let kind = match self {
            Self::Untold => 0,
            Self::Usual(_) => 1,
            Self::Named(..) => 2,
            Self::Elsewhere(_) => 3,
        };
        to.push(u8::try_from(code << 2).unwrap_or(u8::MAX) | kind);
        match self {
            Self::Untold => {}
            Self::Usual(digest) => to.extend(digest),
            Self::Named(digest, name) => {
                to.extend(digest);
                write_text(to, name);
            }
            Self::Elsewhere(path) => write_text(to, path),
        }
    }

    fn read(bytes: &mut &'p [u8]) -> Option<(Self, usize)> {
        let (head, rest) = bytes.split_first()?;
        *bytes = rest;
        let kind = match head & 3 {
            0 => Self::Untold,
            1 => Self::Usual(take_digest(bytes)?),
            2 => {
                let digest = take_digest(bytes)?;
                let name = take_text(bytes)?;
                StoreName::new(name).ok()?;
                Self::Named(digest, name)
            }
            _ => {
                let path = take_text(bytes)?;
                let (dir, _) = StoreDir::split(path).ok()?;
                if dir == StoreDir::default() {
                    return None;
                }
                Self::Elsewhere(path)
            }
        };
        Some((kind, usize::from(head >> 2)))
    }
}

/// Goes over packed outputs, with the place of each.
fn each_output<'p>(
    packed: &'p [u8],
    mut each: impl FnMut(OutputName, Kind<'p>, usize),
) -> Option<()> {
    let mut bytes = packed;
    let mut count = 0;
    while !bytes.is_empty() {
        count += 1;
        if count > MOST_OUTPUTS {
            return None;
        }
        let at = packed.len() - bytes.len();
        let (kind, code) = Kind::read(&mut bytes)?;
        let output = match code {
            OTHER => {
                let name = take_text(&mut bytes)?;
                // One form for each name.
                if USUAL.contains(&name) {
                    return None;
                }
                name
            }
            code => USUAL.get(code)?,
        };
        each(OutputName::new(output).ok()?, kind, at);
    }
    (count > 0).then_some(())
}

fn usual_name(name: &str, output: &OutputName) -> String {
    match output.as_str() {
        "out" => name.to_owned(),
        output => format!("{name}-{output}"),
    }
}

fn show(digest: [u8; DIGEST], name: &str) -> Option<String> {
    let path = StorePath::new(digest, StoreName::new(name).ok()?);
    Some(StoreDir::default().show(&path).to_string())
}

fn write_text(to: &mut Vec<u8>, text: &str) {
    // Names of store objects and what `Kind::of` lets through are shorter.
    to.push(u8::try_from(text.len()).unwrap_or(LONGEST));
    to.extend(&text.as_bytes()[..text.len().min(usize::from(LONGEST))]);
}

fn take_text<'p>(bytes: &mut &'p [u8]) -> Option<&'p str> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

fn take_digest(bytes: &mut &[u8]) -> Option<[u8; DIGEST]> {
    let (digest, rest) = bytes.split_at_checked(DIGEST)?;
    *bytes = rest;
    digest.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0c0z8rcwmpw9kkh0z1q8m6n7fkq5j1wd";

    fn outputs(list: &[(&str, Option<&str>)]) -> Vec<Output> {
        let boxed = list
            .iter()
            .map(|(name, path)| ((*name).into(), path.map(Into::into)));
        boxed.collect()
    }

    #[test]
    fn what_follows_from_the_name_takes_no_room() {
        let drv = format!("/nix/store/{HASH}-app-1.0.drv");
        let packed = pack_drv("app-1.0", &drv).unwrap();
        assert_eq!(packed.len(), 20);
        assert_eq!(unpack_drv("app-1.0", &packed).unwrap(), drv);
        let list = outputs(&[
            ("dev", Some(&format!("/nix/store/{HASH}-app-1.0-dev"))),
            ("out", Some(&format!("/nix/store/{HASH}-app-1.0"))),
        ]);
        let packed = pack_outputs("app-1.0", &list).unwrap();
        assert_eq!(packed.len(), 42);
        assert_eq!(unpack_outputs("app-1.0", &packed).unwrap(), list);
        assert_eq!(digests(&packed, false).unwrap(), [1, 22]);
        let mut other = packed.clone();
        set_digests(&mut other, false, || [7; DIGEST]);
        let hash = snowguard_store::nix32::encode(&[7; DIGEST]);
        let path = format!("/nix/store/{hash}-app-1.0-dev");
        let outputs = unpack_outputs("app-1.0", &other).unwrap();
        assert_eq!(outputs[0].1.as_deref(), Some(&*path));
    }

    #[test]
    fn whatever_else_there_is_comes_back() {
        for drv in [
            format!("/nix/store/{HASH}-python3.8-app-1.0.drv"),
            format!("/gnu/store/{HASH}-app-1.0.drv"),
        ] {
            let packed = pack_drv("app-1.0", &drv).unwrap();
            assert_ne!(packed.len(), 20);
            assert_eq!(unpack_drv("app-1.0", &packed).unwrap(), drv);
        }
        assert_eq!(pack_drv("app-1.0", "app.drv"), None);
        let list = outputs(&[
            ("out", None),
            ("python", Some(&format!("/nix/store/{HASH}-other-name"))),
            ("weird_1", Some(&format!("/tmp/store/{HASH}-app-1.0"))),
            ("lib", Some(&format!("/nix/store/{HASH}-app-1.0-lib"))),
        ]);
        let packed = pack_outputs("app-1.0", &list).unwrap();
        assert_eq!(unpack_outputs("app-1.0", &packed).unwrap(), list);
        assert_eq!(pack_outputs("app-1.0", &[]), None);
        assert_eq!(pack_outputs("app", &outputs(&[("a b", None)])), None);
        // A placeholder of a floating output is no path.
        let floating = outputs(&[(
            "out",
            Some("/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"),
        )]);
        let packed = pack_outputs("app", &floating).unwrap();
        assert_eq!(
            unpack_outputs("app", &packed).unwrap(),
            outputs(&[("out", None)])
        );
    }

    #[test]
    fn other_bytes_are_nothing() {
        for bytes in [
            &[][..],
            &[1],
            &[4 << 2 | 1; 20],
            &[63 << 2, 1, b' '],
            &[62 << 2],
        ] {
            assert_eq!(unpack_outputs("a", bytes), None, "{bytes:?}");
        }
        for bytes in [&[][..], &[0], &[1; 21], &[2; 19], &[3, 1, b'x']] {
            assert_eq!(unpack_drv("a", bytes), None, "{bytes:?}");
        }
    }
}
