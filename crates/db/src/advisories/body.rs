//! What a source says under a name, as it is stored: a line for each record, compressed.

use snowguard_advisory::record::Record;

use crate::{DbError, packed};

/// The largest body, unpacked.
const MAX: usize = 256 << 20;
const LEVEL: i32 = 6;

/// Records as they are stored: for each its JSON on a line, and that of its texts on the next, which is
/// empty if it has none.
pub fn pack(records: &[Record]) -> Result<Vec<u8>, DbError> {
    let failed = |reason: String| DbError::Content {
        what: "a record of an advisory".to_owned(),
        reason,
    };
    let mut lines = Vec::new();
    for record in records {
        serde_json::to_writer(&mut lines, record).map_err(|error| failed(error.to_string()))?;
        lines.push(b'\n');
        if let Some(texts) = &record.texts {
            serde_json::to_writer(&mut lines, texts).map_err(|error| failed(error.to_string()))?;
        }
        lines.push(b'\n');
    }
    packed::pack(&lines, LEVEL).map_err(|error| failed(error.to_string()))
}

/// The records again.
pub fn unpack(body: &[u8]) -> Result<Vec<Record>, DbError> {
    let damaged = |reason: &str| DbError::Content {
        what: "a record of an advisory".to_owned(),
        reason: reason.to_owned(),
    };
    let lines = packed::unpack(body, MAX)
        .map_err(|error| damaged(&error.to_string()))?
        .ok_or_else(|| damaged("it says that it is too large"))?;
    let mut lines = lines.split(|byte| *byte == b'\n');
    let mut records = Vec::new();
    while let (Some(line), Some(texts)) = (lines.next(), lines.next()) {
        let mut record: Record =
            serde_json::from_slice(line).map_err(|error| damaged(&error.to_string()))?;
        if !texts.is_empty() {
            let texts = serde_json::from_slice(texts);
            record.texts = Some(texts.map_err(|error| damaged(&error.to_string()))?);
        }
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use snowguard_advisory::texts::Texts;

    use super::*;

    #[test]
    fn records_are_read_as_they_are_written() {
        let plain: Record =
            serde_json::from_str(r#"{"id":"CVE-2020-0001","summary":"a\nb"}"#).unwrap();
        let told = Record {
            texts: Some(Box::new(Texts {
                description: Some("two\nlines".into()),
                references: Vec::new(),
            })),
            ..plain.clone()
        };
        let records = vec![plain, told];
        assert_eq!(unpack(&pack(&records).unwrap()).unwrap(), records);
        assert!(unpack(b"nothing").is_err());
    }
}
