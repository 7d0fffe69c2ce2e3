//! EPSS scores: a comment line, a header and `cve,epss,percentile` rows.
//!
//! Source: FIRST's daily `epss_scores-YYYY-MM-DD.csv.gz`.

use super::{ReadError, day};
use crate::id::CveId;
use crate::record::Record;
use crate::severity::Epss;

/// Reads a file of scores.
pub fn read(document: &[u8], sink: &mut dyn FnMut(Result<Record, ReadError>)) {
    let mut date = None;
    for (at, line) in document.split(|&b| b == b'\n').enumerate() {
        let error = || ReadError::Csv { line: at + 1 };
        let Ok(line) = std::str::from_utf8(line) else {
            sink(Err(error()));
            continue;
        };
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            let score_date = comment
                .split(',')
                .find_map(|field| field.trim().strip_prefix("score_date:"));
            date = date.or(day(score_date));
        } else if !line.is_empty() && !line.starts_with("cve,") {
            sink(row(line, date).ok_or_else(error));
        }
    }
}

fn row(line: &str, date: Option<jiff::civil::Date>) -> Option<Record> {
    let mut fields = line.split(',').map(str::trim);
    let id: CveId = fields.next()?.parse().ok()?;
    let share = |field: Option<&str>| {
        field?
            .parse()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
    };
    let (probability, percentile) = (share(fields.next())?, share(fields.next())?);
    let mut record = Record::new(id.into());
    record.epss = Some(Epss {
        probability,
        percentile,
        date,
    });
    Some(record)
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_are_read_and_wrong_ones_told() {
        let csv = b"#model_version:v2025.03.14,score_date:2026-11-20T12:00:00Z\ncve,epss,percentile\nCVE-2021-3156,0.92,0.997\nnonsense\nCVE-2021-1,2,3\n";
        let mut seen = Vec::new();
        super::read(csv, &mut |result| seen.push(result));
        let epss = seen[0].as_ref().unwrap().epss.unwrap();
        assert_eq!((epss.probability, epss.percentile), (0.92, 0.997));
        assert_eq!(epss.date.unwrap().to_string(), "2026-11-20");
        assert_eq!(
            seen[1].as_ref().unwrap_err().to_string(),
            "line 4: expected `cve,epss,percentile`"
        );
        assert_eq!(seen.len(), 3);
    }
}
