//! Whom a certificate names, for the evidence: the subject and who signed it.
//!
//! Whether a certificate holds is not decided here, but by rustls. Source: RFC 5280 section 4.1, and X.690 for DER.

/// Whom it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
}

/// The longest text of a name that is kept, in bytes.
const MOST_TEXT: usize = 256;
/// So many parts of a name are looked at.
const MOST_PARTS: usize = 32;

/// Reads the names of a certificate in DER; none if it is none.
pub fn names(der: &[u8]) -> Option<Names> {
    let (certificate, _) = element(der, 0x30)?;
    let (tbs, _) = element(certificate, 0x30)?;
    // Version, if it is said; number; algorithm.
    let rest = match tbs.first()? {
        0xa0 => element(tbs, 0xa0)?.1,
        _ => tbs,
    };
    let (_, rest) = element(rest, 0x02)?;
    let (_, rest) = element(rest, 0x30)?;
    let (issuer, rest) = element(rest, 0x30)?;
    let (_, rest) = element(rest, 0x30)?;
    let (subject, _) = element(rest, 0x30)?;
    Some(Names {
        subject: name(subject)?,
        issuer: name(issuer)?,
    })
}

/// `CN=x.org, O=X`: the parts that people know, in their order.
fn name(mut rest: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while !rest.is_empty() && parts.len() < MOST_PARTS {
        let (mut set, after) = element(rest, 0x31)?;
        rest = after;
        while !set.is_empty() && parts.len() < MOST_PARTS {
            let (pair, after) = element(set, 0x30)?;
            set = after;
            let (kind, value) = element(pair, 0x06)?;
            let word = match kind {
                [0x55, 4, 3] => "CN",
                [0x55, 4, 6] => "C",
                [0x55, 4, 10] => "O",
                [0x55, 4, 11] => "OU",
                _ => continue,
            };
            let tag = *value.first()?;
            let (text, _) = element(value, tag)?;
            let text = &text[..text.len().min(MOST_TEXT)];
            // What is neither text of ASCII nor of UTF-8 is shown as far as it can be.
            parts.push(format!("{word}={}", String::from_utf8_lossy(text)));
        }
    }
    Some(parts.join(", "))
}

/// What an element of that kind holds, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    if *found != tag {
        return None;
    }
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        if !matches!(count, 1..=4) {
            return None;
        }
        let (digits, after) = rest.split_at_checked(count)?;
        rest = after;
        length = digits
            .iter()
            .fold(0, |all, digit| all << 8 | usize::from(*digit));
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_real_one() {
        let mut params = rcgen::CertificateParams::new(vec!["x.org".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "x.org");
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "Böse \u{202e}AG");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let names = names(certificate.der()).unwrap();
        assert_eq!(names.subject, "CN=x.org, O=Böse \u{202e}AG");
        assert_eq!(names.issuer, names.subject);
        for cut in 0..certificate.der().len() {
            let _ = super::names(&certificate.der()[..cut]);
        }
    }
}
