//! Archives: Java's, which nest, and Python's wheels and eggs. All of them are ZIP.
//!
//! Of an archive only its directory is read, and the few members that declare something. A nested
//! archive that is stored is read where it lies; one that is compressed is unpacked, one at a time.

mod jar;
mod zip;

use object::ReadRef;

use crate::binary::Window;
use crate::kind::{Kind, by_name, is_archive};
use crate::part::Span;
use crate::read::{PartsError, Sink, read_text};
use crate::text::Text;
use jar::Jar;
use zip::{Directory, Member};

/// The longest path of a member, with the archives around it: that of files on a disk.
const LONGEST_PATH: usize = 4096;

/// What may still be spent on one file.
#[derive(Debug)]
struct Budget {
    members: u64,
    unpacked: u64,
}

/// An archive that waits to be read.
struct Waiting<S> {
    /// Where it is in the file, with `!/` at the end; empty for the file itself.
    prefix: String,
    /// The name by which it is known: the last part of its path.
    name: String,
    depth: u32,
    source: S,
}

enum Source<R> {
    /// It lies in the file.
    Stored(Window<R>),
    /// It lies in the file, compressed.
    Packed(Member<R>),
    /// It was in an archive that was compressed itself.
    Unpacked(Vec<u8>),
}

/// What an archive declares, and the archives within it.
pub(crate) fn read<'data, R: ReadRef<'data>>(
    path: &str,
    data: R,
    sink: &mut Sink,
) -> Result<(), PartsError> {
    let mut budget = Budget {
        members: sink.limits.members,
        unpacked: sink.limits.unpacked,
    };
    let file = Window::new(data)?;
    let outermost = Waiting {
        prefix: String::new(),
        name: path.rsplit('/').next().unwrap_or(path).to_owned(),
        depth: 0,
        source: (),
    };
    let found =
        scan(&outermost, file, &mut budget, sink).map_err(|what| PartsError::Malformed {
            format: "a ZIP archive",
            what,
        })?;
    let mut waiting: Vec<Waiting<Source<R>>> = Vec::new();
    push(&mut waiting, found, lazily);
    while let Some(next) = waiting.pop() {
        let result = match &next.source {
            Source::Stored(window) => scan(&next, *window, &mut budget, sink)
                .map_err(|what| no_archive(&what))
                .map(|found| push(&mut waiting, found, lazily)),
            Source::Packed(member) => unpack(member, &mut budget, sink)
                .map_err(|what| format!("an archive that {what}"))
                .and_then(|bytes| scan_unpacked(&next, &bytes, &mut budget, sink))
                .map(|found| waiting.extend(found)),
            Source::Unpacked(bytes) => {
                scan_unpacked(&next, bytes, &mut budget, sink).map(|found| waiting.extend(found))
            }
        };
        if let Err(what) = result {
            let member = next.prefix.strip_suffix("!/").unwrap_or(&next.prefix);
            sink.enter(member);
            sink.problem(Span::Whole, what);
            sink.leave();
        }
    }
    Ok(())
}

fn no_archive(what: &str) -> String {
    format!("not a ZIP archive: {what}")
}

/// Puts archives on the stack so that the first comes off it first.
fn push<M, R>(
    waiting: &mut Vec<Waiting<Source<R>>>,
    found: Vec<Waiting<M>>,
    source: impl Fn(M) -> Source<R>,
) {
    waiting.extend(found.into_iter().rev().map(|found| Waiting {
        prefix: found.prefix,
        name: found.name,
        depth: found.depth,
        source: source(found.source),
    }));
}

fn lazily<R: Copy>(member: Member<R>) -> Source<R> {
    if member.is_stored() {
        Source::Stored(member.data)
    } else {
        Source::Packed(member)
    }
}

/// Reads an archive that lies in memory only as long as this, with copies of those within it.
fn scan_unpacked<R>(
    archive: &Waiting<Source<R>>,
    bytes: &[u8],
    budget: &mut Budget,
    sink: &mut Sink,
) -> Result<Vec<Waiting<Source<R>>>, String> {
    let window = Window::new(bytes).map_err(|error| error.to_string())?;
    let found = scan(archive, window, budget, sink).map_err(|what| no_archive(&what))?;
    let mut waiting = Vec::new();
    for found in found.into_iter().rev() {
        match unpack(&found.source, budget, sink) {
            Ok(bytes) => waiting.push(Waiting {
                prefix: found.prefix,
                name: found.name,
                depth: found.depth,
                source: Source::Unpacked(bytes),
            }),
            Err(what) => {
                sink.enter(found.prefix.strip_suffix("!/").unwrap_or(&found.prefix));
                sink.problem(Span::Whole, format!("an archive that {what}"));
                sink.leave();
            }
        }
    }
    Ok(waiting)
}

/// Adds what the members of one archive declare, and gives the archives within it.
fn scan<'data, S, R: ReadRef<'data>>(
    archive: &Waiting<S>,
    window: Window<R>,
    budget: &mut Budget,
    sink: &mut Sink,
) -> Result<Vec<Waiting<Member<R>>>, String> {
    let directory = Directory::open(window, sink.limits.text)?;
    let mut nested = Vec::new();
    let mut jar = Jar::new(&archive.name, archive.depth == 0);
    for member in directory.members() {
        let Some(left) = budget.members.checked_sub(1) else {
            sink.enter(&archive.prefix);
            let limit = sink.limits.members;
            sink.problem(Span::Whole, format!("more than {limit} members"));
            sink.leave();
            break;
        };
        budget.members = left;
        let member = member?;
        let name = String::from_utf8_lossy(member.name);
        let kind = what_is(&name);
        if kind == What::Nothing {
            continue;
        }
        let path = format!("{}{name}", archive.prefix);
        if path.len() > LONGEST_PATH {
            sink.enter(archive.prefix.strip_suffix("!/").unwrap_or_default());
            let what = format!("a member whose path is longer than {LONGEST_PATH} bytes");
            sink.problem(Span::Whole, what);
            sink.leave();
            continue;
        }
        sink.enter(&path);
        match directory.locate(&member) {
            Err(what) => sink.problem(Span::Whole, format!("a member that {what}")),
            Ok(located) if kind == What::Archive => {
                if archive.depth >= sink.limits.nesting {
                    sink.problem(Span::Whole, "archives within archives, too deep to be read");
                } else {
                    nested.push(Waiting {
                        prefix: format!("{path}!/"),
                        name: name.rsplit('/').next().unwrap_or(&name).to_owned(),
                        depth: archive.depth + 1,
                        source: located,
                    });
                }
            }
            Ok(located) => match unpack(&located, budget, sink) {
                Ok(bytes) => declared(kind, &path, &bytes, &mut jar, sink),
                Err(what) => sink.problem(Span::Whole, format!("a member that {what}")),
            },
        }
        sink.leave();
    }
    jar.finish(sink);
    Ok(nested)
}

fn declared(kind: What, path: &str, bytes: &[u8], jar: &mut Jar<'_>, sink: &mut Sink) {
    match kind {
        What::Text(kind) => {
            if let Err(error) = read_text(kind, bytes, sink) {
                sink.problem(Span::Whole, error.to_string());
            }
        }
        What::Pom => jar.pom(path, &Text::new(bytes), sink),
        What::Manifest => jar.manifest(path, &Text::new(bytes)),
        What::Archive | What::Nothing => {}
    }
}

/// What a member may declare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Archive,
    Pom,
    Manifest,
    Text(Kind),
    Nothing,
}

fn what_is(name: &str) -> What {
    if name == "META-INF/MANIFEST.MF" {
        return What::Manifest;
    }
    if name.ends_with("/pom.properties") && name.contains("META-INF/maven/") {
        return What::Pom;
    }
    if is_archive(name) {
        return What::Archive;
    }
    match by_name(name) {
        // What is packed is there. Lock files in archives are data, of tests as a rule.
        Some(
            kind @ (Kind::PythonMetadata
            | Kind::NpmPackage
            | Kind::NpmInstalled
            | Kind::Gemspec
            | Kind::DotnetDeps
            | Kind::Sbom
            | Kind::LooseSbom
            | Kind::ComposerInstalled),
        ) => What::Text(kind),
        _ => What::Nothing,
    }
}

/// The bytes of a member, as long as there is budget for them.
fn unpack<'data, R: ReadRef<'data>>(
    member: &Member<R>,
    budget: &mut Budget,
    sink: &Sink,
) -> Result<Vec<u8>, String> {
    let most = budget.unpacked.min(sink.limits.text);
    let cost = member.cost();
    if cost > most {
        return Err(format!("is larger than the limit of {most}"));
    }
    // Also what fails in the end has taken its time.
    budget.unpacked -= cost;
    member.unpack()
}
