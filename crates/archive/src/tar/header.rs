//! The blocks that stand before members.

/// Everything in a tar comes in blocks of this many bytes.
pub(super) const BLOCK: usize = 512;

/// What a block says of a member.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) kind: u8,
    pub(super) size: u64,
    /// Whether its owner may execute it.
    pub(super) executable: bool,
}

impl Header {
    /// Reads a block; `None` for zeros, which end the archive.
    pub(super) fn read(block: &[u8; BLOCK]) -> Result<Option<Self>, &'static str> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = number(&block[148..156]).ok_or("a header has no checksum")?;
        if !is_sum(sum, block) {
            return Err("the checksum of a header is wrong");
        }
        let mut name = text(&block[..100]).to_vec();
        // GNU's own form has times where others have the beginning of long names.
        if &block[257..263] == b"ustar\0" && block[345] != 0 {
            let mut whole = text(&block[345..500]).to_vec();
            whole.push(b'/');
            whole.append(&mut name);
            name = whole;
        }
        let mode = number(&block[100..108]).unwrap_or_default();
        Ok(Some(Self {
            name,
            link: text(&block[157..257]).to_vec(),
            kind: block[156],
            size: number(&block[124..136]).ok_or("the size of a member is no number")?,
            executable: mode & 0o100 != 0,
        }))
    }
}

/// Whether it is the sum of the bytes, where the checksum itself counts for spaces. Old programs summed
/// with signs, since such was their `char`.
fn is_sum(sum: u64, block: &[u8; BLOCK]) -> bool {
    let unsigned = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let signed = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| i64::from(byte.cast_signed()))
            .sum::<i64>()
    };
    let (before, after) = (&block[..148], &block[156..]);
    sum == unsigned(before) + 8 * 32 + unsigned(after)
        || sum.cast_signed() == signed(before) + 8 * 32 + signed(after)
}

/// Octal digits among spaces and zeros, or a number to the base of 256.
fn number(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        // 0xff begins a negative number.
        if first & 0x7f != 0 {
            return None;
        }
        return rest.iter().try_fold(0_u64, |number, byte| {
            number
                .checked_mul(256)
                .map(|number| number | u64::from(*byte))
        });
    }
    let digits = field.trim_ascii_start();
    let end = digits
        .iter()
        .position(|byte| matches!(byte, b' ' | 0))
        .unwrap_or(digits.len());
    digits[..end].iter().try_fold(0_u64, |number, byte| {
        let digit = match byte {
            b'0'..=b'7' => u64::from(byte - b'0'),
            _ => return None,
        };
        number.checked_mul(8)?.checked_add(digit)
    })
}

/// Up to the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// What pax headers say of the next member.
#[derive(Debug, Clone, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) is_sparse: bool,
}

impl Pax {
    /// Whether it says where or what a member is.
    pub(super) fn is_of_members(&self) -> bool {
        self.path.is_some() || self.link.is_some() || self.size.is_some() || self.is_sparse
    }

    /// Reads records `LENGTH KEY=VALUE\n`, where the length is that of the whole record.
    pub(super) fn read(&mut self, mut text: &[u8]) -> Result<(), &'static str> {
        const WRONG: &str = "an extended header is not a list of records";
        // GNU tar stops at what is no digit; zeros at the end are filled in by some.
        while text.first().is_some_and(u8::is_ascii_digit) {
            let space = text.iter().position(|byte| *byte == b' ').ok_or(WRONG)?;
            let length: usize = std::str::from_utf8(&text[..space])
                .ok()
                .and_then(|digits| digits.parse().ok())
                .ok_or(WRONG)?;
            let record = text.get(space + 1..length).ok_or(WRONG)?;
            let record = record.strip_suffix(b"\n").ok_or(WRONG)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(WRONG)?;
            self.set(&record[..equals], &record[equals + 1..])?;
            text = &text[length..];
        }
        if text.iter().any(|byte| *byte != 0) {
            return Err(WRONG);
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => {
                let digits = std::str::from_utf8(value).ok();
                let size = digits
                    .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|digits| digits.parse().ok());
                self.size = Some(size.ok_or("the size of a member is no number")?);
            }
            _ if key.starts_with(b"GNU.sparse.") => self.is_sparse = true,
            _ => {}
        }
        Ok(())
    }
}
