//! What one address sends, and what the fetcher makes of it: a file, a NAR, an unpacked archive.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use snowguard_archive::{
    ArchiveError, ContentHasher, FileSpool, Limits, TreeError, read_tar, read_zip,
};
use snowguard_fod::outcome::{Attempt, Difference, Got, Try};
use snowguard_fod::place::{Place, Scheme};
use snowguard_fod::plan::{Form, Packing, Root};
use snowguard_http::{Address, Stream, Told};
use snowguard_store::nar::{NarError, NarEvent, NarReader, NarWriter};
use snowguard_store::{ContentAddress, ContentAddressMethod, Hash, HashAlgo, Hasher};

use crate::compare::{self, Beside};
use crate::space::{Held, Share};
use crate::tree::Spooled;
use crate::tried::{self, failed, shown};
use crate::verify::{Asked, Halt, Verifier};

/// What is specific to who fetches.
struct Fetcher {
    /// How many redirects it follows.
    redirects: usize,
    /// The statuses that it takes; empty for all below 400.
    statuses: &'static [u16],
}

/// `curl`, as `fetchurl` calls it.
const CURL: Fetcher = Fetcher {
    redirects: 20,
    statuses: &[],
};
/// Nix itself, for `builtin:fetchurl`: so from 2.8 to 2.34.
const NIX: Fetcher = Fetcher {
    redirects: 10,
    statuses: &[200, 201, 204, 206, 304],
};

/// What came of one address.
pub(crate) struct Came {
    pub(crate) tried: Try,
    pub(crate) got: Option<Got>,
    pub(crate) difference: Option<Difference>,
}

impl Came {
    pub(crate) fn not(tried: Try) -> Self {
        Self {
            tried,
            got: None,
            difference: None,
        }
    }
}

/// What was made of what came: its hash, how long what is hashed is, and by what Software Heritage knows it.
struct Made {
    hash: Hash,
    size: u64,
    swhid: Option<String>,
    difference: Option<Difference>,
}

/// Fetches from one address and compares.
pub(crate) fn fetch(verifier: &Verifier<'_>, asked: &Asked<'_>, url: &str) -> Result<Came, Halt> {
    let address = &asked.job.address;
    let place = Place::of(url);
    let skipped = |why: String| Ok(Came::not(failed(url, Attempt::Skipped, why)));
    match place.scheme {
        Scheme::Https | Scheme::Http if is_spoken(url) => {}
        Scheme::Mirror => {
            return skipped(format!(
                "what mirror {} stands for is not known",
                place.host
            ));
        }
        // Such as `ftps`, `git+https`.
        Scheme::Https | Scheme::Http => {
            let word = url.split("://").next().unwrap_or_default().trim();
            let is_plain =
                |letter: &char| letter.is_ascii_alphanumeric() || "+-.".contains(*letter);
            let word: String = word.chars().filter(is_plain).take(20).collect();
            return skipped(format!("{word} is not spoken here"));
        }
        other => return skipped(format!("{other} is not spoken here")),
    }
    let Ok(from) = url.parse::<Address>() else {
        return Ok(Came::not(failed(url, Attempt::Failed, "it is no address")));
    };
    let mut sink = Sink::new(verifier, asked)?;
    let mut hops = Vec::new();
    let outcome = {
        let _pass = verifier
            .gate
            .enter(&from.host(), verifier.client.interrupted())
            .ok_or(Halt::Interrupted)?;
        let fetcher = if asked.job.curl { CURL } else { NIX };
        let stream = Stream {
            address: &from,
            limit: verifier.limits.download,
            headers: &[],
            question: None,
            redirects: fetcher.redirects,
            cookies: asked.job.curl,
            statuses: fetcher.statuses,
        };
        verifier
            .client
            .stream(&stream, &mut hops, &mut |told, piece| {
                sink.take(told, piece)
            })
    };
    let redirects: Vec<String> = hops.iter().map(ToString::to_string).collect();
    let tried = |result, detail: String, bytes| Try {
        url: shown(url),
        result,
        detail,
        redirects: redirects.clone(),
        bytes,
    };
    let length = match outcome {
        Err(error) => {
            let (result, detail) = tried::of_error(&error)?;
            return Ok(Came::not(tried(result, detail, None)));
        }
        Ok(Some(length)) => length,
        // The sink broke off.
        Ok(None) => sink.received,
    };
    // A page in place of a file, at the end of a redirect: a domain that was given up, a login, a forge that is gone.
    let page = redirects
        .last()
        .filter(|_| sink.is_page && !is_page(place.path))
        .map(|last| format!("a page comes in place of the file, from {last}"));
    let made = match sink.finish(verifier, asked, length) {
        Ok(made) => made,
        Err(Unmade::Halt(halt)) => return Err(halt),
        Err(Unmade::Cannot(why)) => {
            let (result, why) =
                page.map_or((Attempt::Failed, why), |page| (Attempt::Redirect, page));
            return Ok(Came::not(tried(result, why, Some(length))));
        }
        Err(Unmade::NotHere(why)) => {
            return Ok(Came::not(tried(Attempt::Skipped, why, Some(length))));
        }
    };
    let is_right = made.hash == address.hash;
    let (result, detail) = if is_right {
        (Attempt::Ok, String::new())
    } else {
        wrong(asked, url, &redirects, (&made.hash, page))
    };
    Ok(Came {
        tried: tried(result, detail, Some(length)),
        got: Some(Got {
            hash: made.hash.to_string(),
            size: Some(made.size),
            swhid: made.swhid,
        }),
        difference: made.difference.filter(|_| !is_right),
    })
}

/// What it means that other bytes came: the file is another, or the address leads elsewhere.
pub(crate) fn wrong(
    asked: &Asked<'_>,
    url: &str,
    redirects: &[String],
    (hash, page): (&Hash, Option<String>),
) -> (Attempt, String) {
    let promised = &asked.job.address.hash;
    if let Some(page) = page {
        return (Attempt::Redirect, page);
    }
    match tried::elsewhere(asked.before, url, redirects) {
        Some((was, is)) => (
            Attempt::Redirect,
            format!(
                "it led to {was} when it was as promised, and leads to {is} now, which sends {hash}, not {promised}"
            ),
        ),
        None => (
            Attempt::Mismatch,
            format!("it sends {hash}, not {promised}"),
        ),
    }
}

/// Whether our client speaks it: what carries another protocol, or is carried by one, it does not.
fn is_spoken(url: &str) -> bool {
    let scheme = url.split("://").next().unwrap_or_default().trim();
    ["https", "http"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Whether a path names a page, so that one is what was asked for.
fn is_page(path: &str) -> bool {
    let end = Path::new(path).extension().unwrap_or_default();
    ["html", "htm", "xhtml", "php"]
        .iter()
        .any(|known| end.eq_ignore_ascii_case(known))
}

/// Whether anything is kept on a disk, and not only hashed.
pub(crate) fn is_kept(form: &Form, address: &ContentAddress) -> bool {
    address.method != ContentAddressMethod::Flat || !matches!(form, Form::File { .. })
}

/// Where the pieces go: hashed at once where that is all, else kept.
struct Sink {
    received: u64,
    curl: bool,
    /// Why nothing of it is taken, where the head of the answer tells.
    unfit: Option<Unmade>,
    /// Whether the server says that it is a page, and it begins like one.
    is_page: bool,
    error: Option<io::Error>,
    kind: Kind,
}

enum Kind {
    Hashed(Box<Hashed>),
    Kept(BufWriter<Held>),
}

struct Hashed {
    hasher: Hasher,
    /// Once the length is told.
    swhid: Option<ContentHasher>,
    beside: Option<Beside>,
}

enum Unmade {
    /// Nobody can.
    Cannot(String),
    /// We cannot.
    NotHere(String),
    Halt(Halt),
}

impl From<Halt> for Unmade {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl Sink {
    fn new(verifier: &Verifier<'_>, asked: &Asked<'_>) -> Result<Self, Halt> {
        let (share, address) = (asked.share, &asked.job.address);
        let kind = if is_kept(asked.form, address) {
            let file = Held::new(verifier.scratch, share).map_err(Halt::scratch)?;
            Kind::Kept(BufWriter::with_capacity(1 << 16, file))
        } else {
            Kind::Hashed(Box::new(Hashed {
                hasher: hasher(address.hash.algo())?,
                swhid: None,
                beside: asked.old.and_then(Beside::of),
            }))
        };
        Ok(Self {
            received: 0,
            curl: asked.job.curl,
            unfit: None,
            is_page: false,
            error: None,
            kind,
        })
    }

    fn take(&mut self, told: Told, piece: &[u8]) -> ControlFlow<()> {
        self.unfit = unfit(told, self.curl);
        if self.unfit.is_some() {
            return ControlFlow::Break(());
        }
        let length = told.length;
        if self.received == 0 {
            let first = piece.iter().find(|byte| !byte.is_ascii_whitespace());
            // A mark of the encoding may stand before it.
            self.is_page = told.is_page && matches!(first, Some(b'<' | 0xef));
        }
        match &mut self.kind {
            Kind::Hashed(hashed) => {
                if self.received == 0 {
                    hashed.swhid = length.and_then(ContentHasher::new);
                }
                hashed.hasher.update(piece);
                if let Some(swhid) = &mut hashed.swhid {
                    swhid.update(piece);
                }
                if let Some(beside) = &mut hashed.beside {
                    beside.take(piece);
                }
            }
            Kind::Kept(file) => {
                // What does not suffice is known before it comes, where its length is told.
                let room = match (self.received, length) {
                    (0, Some(length)) => file.get_mut().expect(length),
                    _ => Ok(()),
                };
                let done = room.map_err(io::Error::from);
                if let Err(error) = done.and_then(|()| file.write_all(piece)) {
                    self.error = Some(error);
                    return ControlFlow::Break(());
                }
            }
        }
        self.received += piece.len() as u64;
        ControlFlow::Continue(())
    }

    fn finish(
        mut self,
        verifier: &Verifier<'_>,
        asked: &Asked<'_>,
        length: u64,
    ) -> Result<Made, Unmade> {
        if let Some(unfit) = self.unfit.take() {
            return Err(unfit);
        }
        // Whatever went wrong then did so since there was no room.
        self.made(verifier, asked, length).map_err(|unmade| {
            if asked.share.is_refused() {
                Unmade::NotHere(asked.share.why())
            } else {
                unmade
            }
        })
    }

    fn made(self, verifier: &Verifier<'_>, asked: &Asked<'_>, length: u64) -> Result<Made, Unmade> {
        let (share, old) = (asked.share, asked.old);
        if let Some(error) = self.error {
            return Err(Halt::scratch(error).into());
        }
        let kept = match self.kind {
            Kind::Hashed(hashed) => {
                let empty = || ContentHasher::new(0).filter(|_| length == 0);
                return Ok(Made {
                    hash: hashed.hasher.finish(),
                    size: length,
                    swhid: hashed
                        .swhid
                        .or_else(empty)
                        .map(|swhid| swhid.finish().to_string()),
                    difference: hashed.beside.and_then(|beside| beside.end(length)),
                });
            }
            Kind::Kept(file) => file,
        };
        let mut file = kept
            .into_inner()
            .map_err(|error| Halt::scratch(error.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(Halt::scratch)?;
        let algo = asked.job.address.hash.algo();
        match asked.form {
            Form::File { executable } => single(file, *executable, length, algo, old),
            Form::Nar { xz } => nar(file, *xz, verifier.limits.archive, algo),
            Form::Archive { kind, root } => {
                let tree = unpack(verifier, file, (*kind, *root), share)?;
                of_tree(verifier, tree, &asked.job.address.hash, (old, share))
            }
            Form::Git(_) => Err(Unmade::Cannot("a repository is no file".to_owned())),
        }
    }
}

/// Whether an answer is one of which the fetcher makes nothing, or what only it can tell.
fn unfit(told: Told, curl: bool) -> Option<Unmade> {
    let not_here = |text: &str| Some(Unmade::NotHere(text.to_owned()));
    if told.is_wrapped {
        not_here("it comes packed for the way (Transfer-Encoding), which not every fetcher undoes")
    } else if told.is_packed && !curl {
        not_here(
            "it comes packed (Content-Encoding), and whether Nix takes and unpacks that depends on its version",
        )
    } else if told.status == 304 && curl {
        let text = "the server answers 304 to a first question, and curl makes no file of that";
        Some(Unmade::Cannot(text.to_owned()))
    } else {
        None
    }
}

fn hasher(algo: HashAlgo) -> Result<Hasher, Halt> {
    Hasher::new(algo).ok_or_else(|| Halt::Network(format!("{algo} cannot be computed")))
}

/// The NAR of one file.
fn single(
    file: Held,
    executable: bool,
    size: u64,
    algo: HashAlgo,
    old: Option<&Path>,
) -> Result<Made, Unmade> {
    let mut swhid = ContentHasher::new(size);
    let mut beside = old.and_then(Beside::of);
    let mut out = NarWriter::new(Counted::new(hasher(algo)?)).map_err(cannot)?;
    let event = NarEvent::File {
        name: b"",
        executable,
        size,
    };
    out.event(event).map_err(cannot)?;
    let mut file = BufReader::with_capacity(1 << 17, file);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer).map_err(Halt::scratch)?;
        if count == 0 {
            break;
        }
        let piece = &buffer[..count];
        out.contents(piece).map_err(cannot)?;
        if let Some(swhid) = &mut swhid {
            swhid.update(piece);
        }
        if let Some(beside) = &mut beside {
            beside.take(piece);
        }
    }
    let counted = out.finish().map_err(cannot)?;
    Ok(Made {
        size: counted.length,
        hash: counted.hasher.finish(),
        swhid: swhid.map(|swhid| swhid.finish().to_string()),
        difference: beside.and_then(|beside| beside.end(size)),
    })
}

fn cannot(error: impl std::error::Error) -> Unmade {
    Unmade::Cannot(tried::text(&error))
}

/// A NAR as it was sent: what Nix would unpack and pack again is the same bytes, if they are one.
fn nar(file: Held, xz: bool, limits: Limits, algo: HashAlgo) -> Result<Made, Unmade> {
    let file = BufReader::new(file);
    let plain: Box<dyn Read> = if xz {
        // What the decoder needs beside its window is less than a megabyte.
        let kib = (limits.window >> 10).saturating_add(1024);
        Box::new(lzma_rust2::XzReader::new_mem_limit(file, true, kib))
    } else {
        Box::new(file)
    };
    let refused = Rc::new(Cell::new(None));
    let tee = Tee {
        input: Within {
            input: plain,
            left: limits.bytes,
            refused: Rc::clone(&refused),
        },
        out: Counted::new(hasher(algo)?),
    };
    let mut tee = BufReader::new(tee);
    // What only we do not unpack says nothing of what Nix would.
    if let Err(error) = read_nar(&mut tee) {
        return Err(match refused.take() {
            Some(why) => Unmade::NotHere(why),
            None => Unmade::Cannot(error),
        });
    }
    let counted = tee.into_inner().out;
    Ok(Made {
        size: counted.length,
        hash: counted.hasher.finish(),
        swhid: None,
        difference: None,
    })
}

fn read_nar(input: &mut impl BufRead) -> Result<(), String> {
    let told = |error: NarError| tried::text(&error);
    let mut reader = NarReader::new(input).map_err(told)?;
    let mut drain = vec![0; 1 << 16];
    while let Some(event) = reader.next().map_err(told)? {
        if matches!(event, NarEvent::File { .. }) {
            let mut contents = reader.contents();
            while contents
                .read(&mut drain)
                .map_err(|error| tried::text(&error))?
                > 0
            {}
        }
    }
    reader.end().map_err(told)
}

fn unpack(
    verifier: &Verifier<'_>,
    file: Held,
    (kind, root): (Packing, Root),
    share: &Arc<Share>,
) -> Result<Spooled, Unmade> {
    let limits = verifier.limits.archive;
    let spool = FileSpool::new(Held::new(verifier.scratch, share).map_err(Halt::scratch)?);
    let mut file = BufReader::new(file);
    if kind == Packing::TarXz {
        is_for_xz(file.fill_buf().map_err(Halt::scratch)?)?;
    }
    let read = match kind {
        Packing::Tar | Packing::TarXz => read_tar(file, spool, &limits),
        Packing::Zip => read_zip(file, spool, &limits),
    };
    let tree = match read {
        Ok(tree) => tree,
        // What only we do not unpack says nothing of what Nix would.
        Err(error @ (ArchiveError::Limit(_) | ArchiveError::Unsupported { .. })) => {
            return Err(Unmade::NotHere(tried::text(&error)));
        }
        // tar follows links that it made, if they lead nowhere else; unzip leaves `..` away.
        Err(error) if is_refused_here_alone(kind, &error) => {
            let why = tried::text(&error);
            return Err(Unmade::NotHere(format!("refused here as hostile: {why}")));
        }
        // What `xz` says of it at its end is not looked at, and tar may have got all that it needs.
        Err(error @ ArchiveError::Packed { .. }) if kind == Packing::TarXz => {
            let why = tried::text(&error);
            return Err(Unmade::NotHere(format!(
                "{why}, which is for tar to judge and not for xz"
            )));
        }
        Err(error) if error.is_of_the_archive() => return Err(cannot(error)),
        Err(error) => return Err(Halt::Network(tried::text(&error)).into()),
    };
    match root {
        Root::Kept => Ok(tree),
        Root::Stripped { hidden: true } => tree.strip_root().map_err(cannot),
        Root::Stripped { hidden: false } => tree.without_hidden().strip_root().map_err(cannot),
    }
}

/// Whether it is refused as hostile, and its tool would unpack it, in one way or another.
fn is_refused_here_alone(kind: Packing, error: &ArchiveError) -> bool {
    match kind {
        Packing::Tar | Packing::TarXz => matches!(error, ArchiveError::ThroughSymlink { .. }),
        Packing::Zip => matches!(error, ArchiveError::Name { .. }),
    }
}

/// Whether `xz -d` takes what begins so: the fetcher lets it through that by its name, and not by its content.
fn is_for_xz(begin: &[u8]) -> Result<(), Unmade> {
    let is = |magic: &[u8]| begin.starts_with(magic);
    if is(b"\xfd7zXZ\0") {
        Ok(())
    } else if is(b"\x5d\0\0") || is(b"LZIP") || begin.is_empty() {
        let text = "it is called xz, and is of an older kind".to_owned();
        Err(Unmade::NotHere(text))
    } else {
        let text = "it is called xz, and is packed in another way".to_owned();
        Err(Unmade::Cannot(text))
    }
}

/// The NAR of a tree.
pub(crate) fn got_of_tree(
    tree: &mut Spooled,
    algo: HashAlgo,
) -> Result<(Hash, u64, Option<String>), TreeError> {
    let (hash, size) = tree.nar_digest(algo)?;
    Ok((hash, size, Some(tree.swhid()?.to_string())))
}

fn of_tree(
    verifier: &Verifier<'_>,
    mut tree: Spooled,
    promised: &Hash,
    (old, share): (Option<&Path>, &Arc<Share>),
) -> Result<Made, Unmade> {
    let (hash, size, swhid) = got_of_tree(&mut tree, promised.algo())
        .map_err(|error| Halt::Network(tried::text(&error)))?;
    let limits = verifier.limits.archive;
    // Of what is right, nothing differs.
    let difference = old
        .filter(|_| hash != *promised)
        .and_then(|old| compare::tree(&mut tree, old, (verifier.scratch, share), limits));
    Ok(Made {
        hash,
        size,
        swhid,
        difference,
    })
}

/// Hashes and counts.
struct Counted {
    hasher: Hasher,
    length: u64,
}

impl Counted {
    fn new(hasher: Hasher) -> Self {
        Self { hasher, length: 0 }
    }
}

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As much as the limits allow; why it ended, where they do not suffice.
struct Within<R> {
    input: R,
    left: u64,
    refused: Rc<Cell<Option<String>>>,
}

impl<R: Read> Read for Within<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer).inspect_err(|error| {
            if error.kind() == io::ErrorKind::OutOfMemory {
                let text = "unpacking it takes more memory than it may".to_owned();
                self.refused.set(Some(text));
            }
        })?;
        let Some(left) = self.left.checked_sub(count as u64) else {
            self.refused
                .set(Some("it is larger than what is unpacked here".to_owned()));
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        };
        self.left = left;
        Ok(count)
    }
}

/// What is read goes on.
struct Tee<R, W> {
    input: R,
    out: W,
}

impl<R: Read, W: io::Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.out.write_all(&buffer[..count])?;
        Ok(count)
    }
}
