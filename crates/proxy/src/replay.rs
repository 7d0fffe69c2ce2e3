//! Answers from a record.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use snowguard_store::hash::Notation;
use snowguard_store::{Hash, HashAlgo, Hasher};
use tokio::io::AsyncReadExt as _;

use crate::case::Case;
use crate::connection::{Buffered, CHUNK, NoBody, Watch};
use crate::evidence::Body;
use crate::exchange::{algorithms, is_encoded, is_good, say};
use crate::record::Player;
use crate::serve::Shared;
use crate::upstream::Stream;
use crate::wire::head::{Length, Request};

/// The longest body of a request that a record is asked with.
const MOST_ASKED: u64 = 4 << 20;

/// Answers from a record.
pub(crate) async fn replay<C: Stream>(
    shared: &Shared,
    client: &mut Buffered<C>,
    request: &Request,
    url: &str,
    player: &Player,
    case: &mut Case<'_>,
) -> bool {
    let idle = shared.settings.times.idle;
    let mut asked = None;
    if request.length != Length::None {
        if request.headers.has_item("expect", "100-continue") {
            let _ = client.send(b"HTTP/1.1 100 Continue\r\n\r\n", idle).await;
        }
        let mut passing = Asked {
            hash: Sha256::new(),
            bytes: 0,
        };
        let mut nowhere = Buffered::new(tokio::io::join(tokio::io::empty(), tokio::io::sink()));
        if client
            .body(&mut nowhere, request.length, false, idle, &mut passing)
            .await
            .is_err()
        {
            return false;
        }
        asked = Some(passing.hash.finalize().into());
    }
    let known = player.answer(&request.method, url, asked.as_ref(), &request.headers);
    // What is declared can be had by its hash, whatever its address.
    let declared = || {
        let builds = case.judgement.builds.iter();
        let mut fits = builds.filter(|build| {
            build.algo() == HashAlgo::Sha256 && build.declared().is_some() && asked.is_none()
        });
        let digest = fits.next()?.fod.address.hash.digest().to_vec();
        <[u8; 32]>::try_from(digest).ok()
    };
    let (status, digest) = match known {
        Some(answer) => (answer.status, answer.digest()),
        None => (200, declared()),
    };
    let body = match digest {
        Some(digest) => player.body(&digest).await.map(|body| (digest, body)),
        None => None,
    };
    let Some((digest, (mut file, bytes))) = body else {
        case.record.reason = Some("not-recorded".to_owned());
        case.record.detail = Some(
            "the record has no answer to that\nhint: record it with --mode inspect --record DIR"
                .to_owned(),
        );
        for build in &case.judgement.builds {
            build.tally().faults += 1;
        }
        return say(shared, client, request, case, 504).await;
    };
    case.record.status = Some(status);
    let keep = request.keeps_open();
    let mut head = format!("HTTP/1.1 {status} \r\nContent-Length: {bytes}\r\n").into_bytes();
    if let Some(answer) = known {
        let location = answer.to.iter().map(|to| ("location", to));
        let headers = answer
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value));
        for (name, value) in headers.chain(location) {
            head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }
    let connection = if keep { "keep-alive" } else { "close" };
    head.extend_from_slice(format!("Connection: {connection}\r\n\r\n").as_bytes());
    if client.send(&head, idle).await.is_err() {
        return false;
    }
    if &*request.method == "HEAD" {
        return keep;
    }
    let mut hashers: Vec<Hasher> = algorithms(case)
        .iter()
        .filter_map(|algo| Hasher::new(*algo))
        .collect();
    let mut sha256 = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let Ok(read @ 1..) = file.read(&mut buffer).await else {
            break;
        };
        let piece = &buffer[..read.min(usize::try_from(left).unwrap_or(read))];
        sha256.update(piece);
        for hasher in &mut hashers {
            hasher.update(piece);
        }
        left -= piece.len() as u64;
        // The last piece is held back until the whole is known to be what was recorded.
        if left == 0 && <[u8; 32]>::from(sha256.clone().finalize()) != digest {
            break;
        }
        if case.take(0, piece.len() as u64).is_err() || client.send(piece, idle).await.is_err() {
            return false;
        }
    }
    let got: [u8; 32] = sha256.finalize().into();
    if got != digest {
        case.record.reason = Some("record-damaged".to_owned());
        case.record.detail = Some(format!(
            "the recorded body {} is another",
            HEXLOWER.encode(&digest)
        ));
        return false;
    }
    let mut hashes = vec![Hash::sha256(got).to_notation(Notation::Sri)];
    hashes.extend(
        hashers
            .into_iter()
            .map(|hash| hash.finish().to_notation(Notation::Sri)),
    );
    let mut matches = None;
    let part = known.is_some_and(|answer| {
        let encodings = answer.headers.iter();
        let encodings = encodings.filter(|(name, _)| name == "content-encoding");
        is_encoded(encodings.map(|(_, value)| value.as_bytes()))
    });
    if is_good(status) && !part {
        matches = case.judgement.body(&hashes);
    }
    case.record.body = Some(Body {
        bytes,
        hashes,
        whole: true,
        part,
        matches,
    });
    keep
}

/// The body of a request that a record is asked with.
struct Asked {
    hash: Sha256,
    bytes: u64,
}

impl Watch for Asked {
    async fn piece(&mut self, bytes: &[u8]) -> Result<(), NoBody> {
        self.bytes += bytes.len() as u64;
        if self.bytes > MOST_ASKED {
            return Err(NoBody::Target);
        }
        self.hash.update(bytes);
        Ok(())
    }
}
