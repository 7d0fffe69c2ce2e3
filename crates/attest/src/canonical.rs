//! JSON in one form only, so that the same value has the same bytes.
//!
//! Source: RFC 8785 (JSON Canonicalization Scheme): no white space, the keys of objects in the order of
//! their UTF-16 code units, texts with the shortest escapes. Numbers are integers between -(2^53-1) and
//! 2^53-1, which every reader of JSON holds exactly; a claim needs no others, and the rules about
//! fractions are where implementations differ.

use serde_json::{Number, Value};

/// The largest integer that a double holds without a gap before it.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The canonical bytes of a value.
///
/// ```
/// use snowguard_attest::canonical::to_bytes;
/// let value = serde_json::json!({"b": [1, "\u{1b}é"], "a": null});
/// assert_eq!(to_bytes(&value)?, "{\"a\":null,\"b\":[1,\"\\u001bé\"]}".as_bytes());
/// # Ok::<(), snowguard_attest::canonical::NumberError>(())
/// ```
pub fn to_bytes(value: &Value) -> Result<Vec<u8>, NumberError> {
    enum Step<'v> {
        Value(&'v Value),
        Key(&'v str),
        Mark(u8),
    }
    let mut out = Vec::new();
    // A list of what is left, since depth is a stranger's.
    let mut left = vec![Step::Value(value)];
    while let Some(step) = left.pop() {
        match step {
            Step::Mark(mark) => out.push(mark),
            Step::Key(key) => {
                text(key, &mut out);
                out.push(b':');
            }
            Step::Value(Value::Null) => out.extend_from_slice(b"null"),
            Step::Value(Value::Bool(true)) => out.extend_from_slice(b"true"),
            Step::Value(Value::Bool(false)) => out.extend_from_slice(b"false"),
            Step::Value(Value::Number(number)) => {
                out.extend_from_slice(integer(number)?.as_bytes());
            }
            Step::Value(Value::String(string)) => text(string, &mut out),
            Step::Value(Value::Array(items)) => {
                out.push(b'[');
                left.push(Step::Mark(b']'));
                for (at, item) in items.iter().enumerate().rev() {
                    left.push(Step::Value(item));
                    if at > 0 {
                        left.push(Step::Mark(b','));
                    }
                }
            }
            Step::Value(Value::Object(entries)) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                out.push(b'{');
                left.push(Step::Mark(b'}'));
                for (at, (key, item)) in entries.into_iter().enumerate().rev() {
                    left.push(Step::Value(item));
                    left.push(Step::Key(key));
                    if at > 0 {
                        left.push(Step::Mark(b','));
                    }
                }
            }
        }
    }
    Ok(out)
}

/// A number that has no canonical form here: a fraction, or one that a double does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the number {0} is not an integer between -(2^53-1) and 2^53-1")]
pub struct NumberError(String);

fn integer(number: &Number) -> Result<String, NumberError> {
    let magnitude = number
        .as_u64()
        .or_else(|| number.as_i64().map(i64::unsigned_abs));
    match magnitude {
        Some(magnitude) if magnitude <= MAX_INTEGER => Ok(number.to_string()),
        _ => Err(NumberError(number.to_string())),
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn written(value: &Value) -> String {
        String::from_utf8(to_bytes(value).unwrap()).unwrap()
    }

    /// The order of RFC 8785, section 3.2.3: by UTF-16, in which `\u{1f600}` is before `\u{fb33}`.
    #[test]
    fn keys_are_sorted_as_the_rfc_does() {
        let value = json!({
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control",
            "\u{f6}": "Latin Small Letter O With Diaeresis",
        });
        let text = written(&value);
        let order: Vec<usize> = [
            "\"\\r\"",
            "\"1\"",
            "\"\u{80}\"",
            "\"\u{f6}\"",
            "\"\u{20ac}\"",
            "\"\u{1f600}\"",
            "\"\u{fb33}\"",
        ]
        .iter()
        .map(|key| text.find(key).unwrap())
        .collect();
        assert!(order.is_sorted(), "{text}");
    }

    #[test]
    fn numbers_are_integers_that_everybody_holds() {
        assert_eq!(
            written(&json!([0, -1, MAX_INTEGER])),
            "[0,-1,9007199254740991]"
        );
        for text in [
            "1.5",
            "1e2",
            "-0",
            "9007199254740992",
            "-9007199254740992",
            "18446744073709551615",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert!(to_bytes(&value).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_no_matter() {
        let mut value = json!(1);
        for _ in 0..100 {
            value = json!([{"a": value}, {}, []]);
        }
        assert_eq!(
            serde_json::from_str::<Value>(&written(&json!([[], {}]))).unwrap(),
            json!([[], {}])
        );
        assert!(written(&value).starts_with(r#"[{"a":[{"a":"#));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-(1_i64 << 53) + 1..1 << 53).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_written_alike(value in values()) {
            let bytes = to_bytes(&value).unwrap();
            let again: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(&again, &value);
            prop_assert_eq!(to_bytes(&again).unwrap(), bytes);
        }
    }
}
