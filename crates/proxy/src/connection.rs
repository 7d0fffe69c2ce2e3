//! One end of a connection: bytes that came and are not used yet, heads, bodies, and short answers of our own.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use snowguard_fod::policy::Denial;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;

use crate::upstream::Stream;
use crate::wire::chunked::{Decoder, Piece};
use crate::wire::head::{self, HeadError, Length};

/// So many bytes are read at a time.
pub(crate) const CHUNK: usize = 32 << 10;
/// So many informational answers come before the real one.
const MOST_INTERIM: usize = 16;

/// A stream with what was read too much.
pub(crate) struct Buffered<S> {
    io: S,
    buffer: Vec<u8>,
    at: usize,
}

/// Why a head did not come.
pub(crate) enum NoHead {
    /// The other end is gone before it began.
    Gone,
    /// It said nothing so far.
    Silent,
    /// It is silent, or gone, in between.
    Slow,
    Cut,
    Wrong(HeadError),
}

/// Why a body did not come to its end.
pub(crate) enum NoBody {
    /// Who sends it.
    Source(&'static str),
    /// Who gets it.
    Target,
    /// It is more than may come.
    Denied(Denial),
}

/// Who looks at a body as it passes.
pub(crate) trait Watch: Send {
    /// Before a piece is handed on.
    fn piece(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), NoBody>> + Send;
}

impl<S: Stream> Buffered<S> {
    pub(crate) fn new(io: S) -> Self {
        Self {
            io,
            buffer: Vec::new(),
            at: 0,
        }
    }

    /// What came and is not used.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Whether nothing came that nobody asked for, not even an end: what waits here before a request is sent would be
    /// taken for its answer.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        if !self.pending().is_empty() {
            return false;
        }
        // What came meanwhile is known to the runtime only once it has looked.
        tokio::task::yield_now().await;
        let mut one = [0];
        let mut one = ReadBuf::new(&mut one);
        poll_fn(|context| {
            let read = Pin::new(&mut self.io).poll_read(context, &mut one);
            Poll::Ready(read.is_pending())
        })
        .await
    }

    /// Reads more; how much came.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.reserve(CHUNK);
        self.io.read_buf(&mut self.buffer).await
    }

    /// The next head, with its empty line. `first` is waited for its first byte, `whole` for all of it.
    pub(crate) async fn head(
        &mut self,
        first: Duration,
        whole: Duration,
    ) -> Result<Vec<u8>, NoHead> {
        if self.pending().is_empty() {
            match timeout(first, self.fill()).await {
                Ok(Ok(read)) if read > 0 => {}
                Ok(_) => return Err(NoHead::Gone),
                Err(_) => return Err(NoHead::Silent),
            }
        }
        match timeout(whole, self.rest_of_head()).await {
            Ok(head) => head,
            Err(_) => Err(NoHead::Slow),
        }
    }

    async fn rest_of_head(&mut self) -> Result<Vec<u8>, NoHead> {
        let mut searched = 0;
        loop {
            if let Some(end) = head::end_of(self.pending(), searched) {
                if end > head::MOST_HEAD {
                    return Err(NoHead::Wrong(HeadError::TooLong));
                }
                let head = self.pending()[..end].to_vec();
                self.at += end;
                return Ok(head);
            }
            searched = self.pending().len();
            if searched > head::MOST_HEAD {
                return Err(NoHead::Wrong(HeadError::TooLong));
            }
            if !matches!(self.fill().await, Ok(read) if read > 0) {
                return Err(NoHead::Cut);
            }
        }
    }

    /// The head of the real answer of a server.
    pub(crate) async fn response(
        &mut self,
        first: Duration,
        whole: Duration,
    ) -> Result<head::Response, NoHead> {
        for _ in 0..MOST_INTERIM {
            let bytes = self.head(first, whole).await?;
            let response = head::response(&bytes).map_err(NoHead::Wrong)?;
            match response.status {
                // Nothing was asked for that another protocol could be spoken after.
                101 => return Err(NoHead::Wrong(HeadError::Line)),
                100..=199 => {}
                _ => return Ok(response),
            }
        }
        Err(NoHead::Wrong(HeadError::TooLong))
    }

    /// Hands a body on, as it comes; in chunks if `chunked`.
    pub(crate) async fn body<T: Stream, W: Watch>(
        &mut self,
        to: &mut Buffered<T>,
        length: Length,
        chunked: bool,
        idle: Duration,
        watch: &mut W,
    ) -> Result<(), NoBody> {
        let mut left = match length {
            Length::None => 0,
            Length::Bytes(bytes) => bytes,
            Length::Chunked | Length::UntilClose => u64::MAX,
        };
        let mut decoder = (length == Length::Chunked).then(Decoder::default);
        while left > 0 {
            if decoder.as_ref().is_some_and(Decoder::is_done) {
                break;
            }
            if self.pending().is_empty() {
                match timeout(idle, self.fill()).await {
                    Ok(Ok(0)) if length == Length::UntilClose => break,
                    Ok(Ok(0) | Err(_)) => return Err(NoBody::Source("cut")),
                    Err(_) => return Err(NoBody::Source("timeout")),
                    Ok(Ok(_)) => {}
                }
            }
            let here = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.pending().len());
            let taken = match &mut decoder {
                None => here,
                Some(decoder) => match decoder.next(self.pending()) {
                    Ok(Piece::End) => break,
                    Ok(Piece::Frame(taken)) => {
                        self.at += taken;
                        continue;
                    }
                    Ok(Piece::Data(taken)) => taken,
                    Err(_) => return Err(NoBody::Source("malformed-answer")),
                },
            };
            let piece = &self.buffer[self.at..self.at + taken];
            watch.piece(piece).await?;
            let sent = async {
                if chunked {
                    to.io.write_all(format!("{taken:x}\r\n").as_bytes()).await?;
                }
                to.io.write_all(piece).await?;
                if chunked {
                    to.io.write_all(b"\r\n").await?;
                }
                Ok::<(), io::Error>(())
            };
            if !matches!(timeout(idle, sent).await, Ok(Ok(()))) {
                return Err(NoBody::Target);
            }
            self.at += taken;
            if decoder.is_none() && length != Length::UntilClose {
                left -= taken as u64;
            }
        }
        let end = async {
            if chunked {
                to.io.write_all(b"0\r\n\r\n").await?;
            }
            to.io.flush().await
        };
        match timeout(idle, end).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(NoBody::Target),
        }
    }

    /// Writes all of it, and hands it over.
    pub(crate) async fn send(&mut self, bytes: &[u8], idle: Duration) -> io::Result<()> {
        let work = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        timeout(idle, work)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Ends it in good order.
    pub(crate) async fn close(&mut self) {
        let _ = timeout(Duration::from_secs(1), self.io.shutdown()).await;
    }
}

/// An answer of ours, in words.
pub(crate) struct Reply<'r> {
    pub(crate) status: u16,
    /// What happened and what to do, each on its line.
    pub(crate) text: &'r str,
    /// The word for why, for programs.
    pub(crate) reason: &'r str,
    pub(crate) keep: bool,
    /// Without its text, as HEAD wants it.
    pub(crate) head_only: bool,
}

impl Reply<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let phrase = match self.status {
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            407 => "Proxy Authentication Required",
            408 => "Request Timeout",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            505 => "HTTP Version Not Supported",
            _ => "Bad Gateway",
        };
        // What others say may stand in it: neither lines nor control characters of theirs get out.
        let text: String = self
            .text
            .chars()
            .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
            .collect();
        let asks = if self.status == 407 {
            "Proxy-Authenticate: Basic realm=\"snowguard\"\r\n"
        } else {
            ""
        };
        let connection = if self.keep { "keep-alive" } else { "close" };
        let mut bytes = format!(
            "HTTP/1.1 {} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Snowguard-Reason: {}\r\n{asks}Connection: {connection}\r\n\r\n",
            self.status,
            text.len() + 1,
            self.reason,
        )
        .into_bytes();
        if !self.head_only {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b'\n');
        }
        bytes
    }
}

impl<S: Stream> AsyncRead for Buffered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pending().is_empty() && into.remaining() < CHUNK {
            // TLS asks for a quarter of a record at a time.
            let this = &mut *self;
            this.buffer.clear();
            this.at = 0;
            this.buffer.reserve(CHUNK);
            match pin!(this.io.read_buf(&mut this.buffer)).poll(context) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    // Who waits holds no memory.
                    this.buffer = Vec::new();
                    return Poll::Pending;
                }
            }
            if this.buffer.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        let pending = self.buffer.len() - self.at;
        if pending > 0 {
            let count = pending.min(into.remaining());
            into.put_slice(&self.buffer[self.at..self.at + count]);
            self.at += count;
            if self.at == self.buffer.len() {
                self.buffer = Vec::new();
                self.at = 0;
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(context, into)
    }
}

impl<S: Stream> AsyncWrite for Buffered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        all: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
