//! Numbers, texts and columns of them as bytes.
//!
//! Numbers are LEB128: seven bits a byte, the lowest first. Only the shortest form of a number is read.

/// Writes columns.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn number(&mut self, mut number: u64) {
        loop {
            let low = (number & 0x7F) as u8;
            number >>= 7;
            if number == 0 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
        }
    }

    /// Ascending numbers of rows, with how many there are: the first, and then what each is more.
    pub(super) fn ids(&mut self, ids: impl ExactSizeIterator<Item = i64>) {
        self.number(ids.len() as u64);
        let mut before = 0;
        for id in ids {
            self.number(id.wrapping_sub(before).cast_unsigned());
            before = id;
        }
    }

    /// Numbers of rows in any order.
    pub(super) fn numbers(&mut self, numbers: impl Iterator<Item = i64>) {
        for number in numbers {
            self.number(number.cast_unsigned());
        }
    }

    /// Texts: the length of each, and then all of them.
    pub(super) fn texts<'t>(&mut self, texts: impl Iterator<Item = &'t str> + Clone) {
        for text in texts.clone() {
            self.number(text.len() as u64);
        }
        for text in texts {
            self.0.extend_from_slice(text.as_bytes());
        }
    }

    /// Bytes with their length and one, or 0 for none.
    pub(super) fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.number(0),
            Some(bytes) => {
                self.number(bytes.len() as u64 + 1);
                self.0.extend_from_slice(bytes);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Bytes, or that there are none.
pub(super) struct Maybe(pub(super) Option<Box<[u8]>>);

/// Reads columns. Everything is nothing where the bytes end too early or say what cannot be.
#[derive(Debug)]
pub(super) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Eight bytes, the lowest first.
    pub(super) fn word(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return (shift == 0 || bits != 0).then_some(number);
            }
        }
        None
    }

    pub(super) fn ids(&mut self) -> Option<Vec<i64>> {
        let count = self.count()?;
        let mut before = 0_i64;
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            let more = i64::try_from(self.number()?)
                .ok()
                .filter(|more| *more > 0)?;
            before = before.checked_add(more)?;
            ids.push(before);
        }
        Some(ids)
    }

    pub(super) fn numbers(&mut self, count: usize) -> Option<Vec<i64>> {
        (0..count)
            .map(|_| i64::try_from(self.number()?).ok())
            .collect()
    }

    pub(super) fn texts(&mut self, count: usize) -> Option<Vec<Box<str>>> {
        let lengths: Vec<u64> = (0..count).map(|_| self.number()).collect::<Option<_>>()?;
        lengths
            .into_iter()
            .map(|length| {
                let text = self.take(usize::try_from(length).ok()?)?;
                std::str::from_utf8(text).ok().map(Into::into)
            })
            .collect()
    }

    /// What [`Writer::optional`] wrote.
    pub(super) fn optional(&mut self) -> Option<Maybe> {
        let Some(length) = self.number()?.checked_sub(1) else {
            return Some(Maybe(None));
        };
        let bytes = self.take(usize::try_from(length).ok()?)?;
        Some(Maybe(Some(bytes.into())))
    }

    /// How many things follow, each of which takes a byte at least.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }
}
