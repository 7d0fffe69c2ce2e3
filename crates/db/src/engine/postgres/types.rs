//! Values in PostgreSQL's binary form, as far as our schema uses it.

use std::error::Error as StdError;

use bytes::BytesMut;
use postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};

use super::super::value::Value;

type AnyError = Box<dyn StdError + Sync + Send>;

/// A value on its way to the server.
#[derive(Debug)]
pub(super) struct Parameter<'a>(pub(super) &'a Value<'a>);

impl ToSql for Parameter<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        write(self.0, wanted, out)
    }

    fn accepts(_: &Type) -> bool {
        // Whether it suits depends on the value.
        true
    }

    to_sql_checked!();
}

/// One column of many rows, on its way to the server.
#[derive(Debug)]
pub(super) struct Array<'a> {
    pub(super) rows: &'a [Vec<Value<'a>>],
    pub(super) column: usize,
}

impl ToSql for Array<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        let values = self
            .rows
            .iter()
            .map(|row| row.get(self.column).unwrap_or(&Value::Null));
        array(values, wanted, out)
    }

    fn accepts(wanted: &Type) -> bool {
        matches!(wanted.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}

fn write(value: &Value<'_>, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
    match value {
        Value::Null => return Ok(IsNull::Yes),
        Value::Int(value) => match *wanted {
            Type::INT8 => out.extend_from_slice(&value.to_be_bytes()),
            Type::INT4 => out.extend_from_slice(&i32::try_from(*value)?.to_be_bytes()),
            Type::INT2 => out.extend_from_slice(&i16::try_from(*value)?.to_be_bytes()),
            Type::FLOAT8 => {
                out.extend_from_slice(&f64::from(i32::try_from(*value)?).to_be_bytes());
            }
            Type::BOOL => out.extend_from_slice(&[u8::from(*value != 0)]),
            _ => return Err(unsuitable("a whole number", wanted)),
        },
        Value::Real(value) => match *wanted {
            Type::FLOAT8 => out.extend_from_slice(&value.to_be_bytes()),
            _ => return Err(unsuitable("a number", wanted)),
        },
        Value::Text(text) => match *wanted {
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
                if text.contains('\0') {
                    return Err("a text holds the character NUL".into());
                }
                out.extend_from_slice(text.as_bytes());
            }
            _ => return Err(unsuitable("a text", wanted)),
        },
        Value::Bytes(bytes) => match *wanted {
            Type::BYTEA => out.extend_from_slice(bytes),
            _ => return Err(unsuitable("bytes", wanted)),
        },
        Value::Ints(values) => {
            let values: Vec<Value<'_>> = values.iter().map(|value| Value::Int(*value)).collect();
            return array(values.iter(), wanted, out);
        }
        Value::Texts(values) => {
            let values: Vec<Value<'_>> = values.iter().map(Value::from).collect();
            return array(values.iter(), wanted, out);
        }
    }
    Ok(IsNull::No)
}

fn unsuitable(found: &str, wanted: &Type) -> AnyError {
    format!("{found} was given where the server expects {wanted}").into()
}

/// The server's form of an array: dimensions, whether there is NULL, the type within, then the one dimension's length
/// and lower bound, then each element with its length.
fn array<'a>(
    values: impl ExactSizeIterator<Item = &'a Value<'a>> + Clone,
    wanted: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, AnyError> {
    let Kind::Array(element) = wanted.kind() else {
        return Err(unsuitable("a list", wanted));
    };
    let nulls = values.clone().any(|value| *value == Value::Null);
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&i32::from(nulls).to_be_bytes());
    out.extend_from_slice(&element.oid().to_be_bytes());
    out.extend_from_slice(&i32::try_from(values.len())?.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    for value in values {
        let at = out.len();
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        if let IsNull::No = write(value, element, out)? {
            let length = i32::try_from(out.len() - at - 4)?;
            out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(IsNull::No)
}

/// A value that came from the server.
pub(super) struct Field<'a>(pub(super) Value<'a>);

impl<'a> FromSql<'a> for Field<'a> {
    fn from_sql(given: &Type, raw: &'a [u8]) -> Result<Self, AnyError> {
        Ok(Self(match *given {
            Type::INT8 => Value::Int(i64::from_be_bytes(raw.try_into()?)),
            Type::INT4 => Value::from(i32::from_be_bytes(raw.try_into()?)),
            Type::INT2 => Value::from(i16::from_be_bytes(raw.try_into()?)),
            Type::OID => Value::from(u32::from_be_bytes(raw.try_into()?)),
            Type::BOOL => Value::from(raw == [1]),
            Type::FLOAT8 => Value::Real(f64::from_be_bytes(raw.try_into()?)),
            Type::FLOAT4 => Value::Real(f64::from(f32::from_be_bytes(raw.try_into()?))),
            Type::NUMERIC => numeric(raw)?,
            Type::BYTEA => Value::from(raw),
            Type::VOID => Value::Null,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON => {
                Value::from(std::str::from_utf8(raw)?)
            }
            _ => return Err(format!("the type {given} is not read here").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, AnyError> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What `sum` of whole numbers gives: digits to the base of 10,000, with the weight of the first.
fn numeric(raw: &[u8]) -> Result<Value<'static>, AnyError> {
    let (words, []) = raw.as_chunks::<2>() else {
        return Err("a number is cut off".into());
    };
    let words: Vec<i16> = words.iter().map(|word| i16::from_be_bytes(*word)).collect();
    let [_, weight, sign, _, digits @ ..] = words.as_slice() else {
        return Err("a number is cut off".into());
    };
    let whole_digits = usize::try_from(i32::from(*weight) + 1).unwrap_or(0);
    let negative = match sign {
        0 => false,
        0x4000 => true,
        _ => return Err("it is not a number".into()),
    };
    if digits.len() <= whole_digits {
        let mut whole: i64 = 0;
        for place in 0..whole_digits {
            let digit = digits.get(place).copied().unwrap_or(0);
            let next = whole
                .checked_mul(10_000)
                .and_then(|whole| whole.checked_sub(i64::from(digit)));
            whole = next.ok_or("a number is too large")?;
        }
        let whole = if negative {
            whole
        } else {
            whole.checked_neg().ok_or("a number is too large")?
        };
        return Ok(Value::Int(whole));
    }
    let mut real = 0.0;
    let mut scale = 10_000_f64.powi(i32::from(*weight));
    for digit in digits {
        real += f64::from(*digit) * scale;
        scale /= 10_000.0;
    }
    Ok(Value::Real(if negative { -real } else { real }))
}
