//! What goes into a statement and what comes out of it: the same few kinds on every engine.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::DbError;

/// One value of a row, or one parameter. Booleans are 0 and 1, times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Nothing is known.
    Null,
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Real(f64),
    /// Text. PostgreSQL cannot hold NUL in it; both engines refuse it.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// Whole numbers for `{in:N}`; only as a parameter.
    Ints(Cow<'a, [i64]>),
    /// Texts for `{in:N}`; only as a parameter.
    Texts(Cow<'a, [String]>),
}

impl Value<'_> {
    /// The same value, which borrows nothing.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Int(value) => Value::Int(value),
            Self::Real(value) => Value::Real(value),
            Self::Text(value) => Value::Text(Cow::Owned(value.into_owned())),
            Self::Bytes(value) => Value::Bytes(Cow::Owned(value.into_owned())),
            Self::Ints(value) => Value::Ints(Cow::Owned(value.into_owned())),
            Self::Texts(value) => Value::Texts(Cow::Owned(value.into_owned())),
        }
    }

    /// The same value, borrowed from this one.
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Int(value) => Value::Int(*value),
            Self::Real(value) => Value::Real(*value),
            Self::Text(value) => Value::Text(Cow::Borrowed(value)),
            Self::Bytes(value) => Value::Bytes(Cow::Borrowed(value)),
            Self::Ints(value) => Value::Ints(Cow::Borrowed(value)),
            Self::Texts(value) => Value::Texts(Cow::Borrowed(value)),
        }
    }

    /// What kind of value it is, for errors.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Int(_) => "a whole number",
            Self::Real(_) => "a number",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::Ints(_) => "a list of whole numbers",
            Self::Texts(_) => "a list of texts",
        }
    }
}

macro_rules! from_small_ints {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Value<'_> {
            fn from(value: $kind) -> Self {
                Self::Int(i64::from(value))
            }
        }
    )*};
}

from_small_ints!(bool, u8, u16, u32, i8, i16, i32, i64);

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Int(value.as_millisecond())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(value: Cow<'a, str>) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Self::Bytes(Cow::Borrowed(value))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Self::Bytes(Cow::Borrowed(value))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(value))
    }
}

impl<'a> From<&'a [i64]> for Value<'a> {
    fn from(value: &'a [i64]) -> Self {
        Self::Ints(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a Vec<i64>> for Value<'a> {
    fn from(value: &'a Vec<i64>) -> Self {
        Self::Ints(Cow::Borrowed(value))
    }
}

impl From<Vec<i64>> for Value<'_> {
    fn from(value: Vec<i64>) -> Self {
        Self::Ints(Cow::Owned(value))
    }
}

impl<'a> From<&'a [String]> for Value<'a> {
    fn from(value: &'a [String]) -> Self {
        Self::Texts(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a Vec<String>> for Value<'a> {
    fn from(value: &'a Vec<String>) -> Self {
        Self::Texts(Cow::Borrowed(value))
    }
}

impl From<Vec<String>> for Value<'_> {
    fn from(value: Vec<String>) -> Self {
        Self::Texts(Cow::Owned(value))
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A type that a value can be read as.
pub trait FromValue<'a>: Sized {
    /// What a column must hold, for errors.
    const WANTED: &'static str;

    /// The value as this type, if it is one.
    fn from_value(value: &'a Value<'_>) -> Option<Self>;
}

impl<'a> FromValue<'a> for i64 {
    const WANTED: &'static str = "a whole number";

    fn from_value(value: &'a Value<'_>) -> Option<Self> {
        match value {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }
}

macro_rules! smaller_ints {
    ($($kind:ty => $wanted:literal),*) => {$(
        impl<'a> FromValue<'a> for $kind {
            const WANTED: &'static str = $wanted;

            fn from_value(value: &'a Value<'_>) -> Option<Self> {
                i64::from_value(value)?.try_into().ok()
            }
        }
    )*};
}

smaller_ints!(
    u8 => "a number from 0 to 255",
    u16 => "a number from 0 to 65535",
    u32 => "a number from 0 to 4294967295",
    u64 => "a number from 0",
    usize => "a number from 0",
    i32 => "a number of 32 bits"
);

impl<'a> FromValue<'a> for bool {
    const WANTED: &'static str = "0 or 1";

    fn from_value(value: &'a Value<'_>) -> Option<Self> {
        match value {
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for f64 {
    const WANTED: &'static str = "a number";

    fn from_value(value: &'a Value<'_>) -> Option<Self> {
        match value {
            Value::Real(value) => Some(*value),
            // SQLite stores what has no fraction as a whole number where it may.
            Value::Int(value) => i32::try_from(*value).ok().map(Self::from),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for Timestamp {
    const WANTED: &'static str = "milliseconds since 1970";

    fn from_value(value: &'a Value<'_>) -> Option<Self> {
        Self::from_millisecond(i64::from_value(value)?).ok()
    }
}

impl<'a> FromValue<'a> for &'a str {
    const WANTED: &'static str = "a text";

    fn from_value(value: &'a Value<'_>) -> Option<Self> {
        match value {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for String {
    const WANTED: &'static str = "a text";

    fn from_value(value: &'a Value<'_>) -> Option<Self> {
        <&str>::from_value(value).map(str::to_owned)
    }
}

impl<'a> FromValue<'a> for &'a [u8] {
    const WANTED: &'static str = "bytes";

    fn from_value(value: &'a Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(value) => Some(value),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for Vec<u8> {
    const WANTED: &'static str = "bytes";

    fn from_value(value: &'a Value<'_>) -> Option<Self> {
        <&[u8]>::from_value(value).map(<[u8]>::to_vec)
    }
}

impl<'a, const N: usize> FromValue<'a> for [u8; N] {
    const WANTED: &'static str = "bytes of a fixed number";

    fn from_value(value: &'a Value<'_>) -> Option<Self> {
        <&[u8]>::from_value(value)?.try_into().ok()
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    const WANTED: &'static str = T::WANTED;

    fn from_value(value: &'a Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// One row, while it is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    values: &'a [Value<'a>],
}

impl<'a> Row<'a> {
    pub(crate) const fn new(values: &'a [Value<'a>]) -> Self {
        Self { values }
    }

    /// A column, counted from 0. `Option` where it can be NULL.
    pub fn get<T: FromValue<'a>>(&self, column: usize) -> Result<T, DbError> {
        let found = self.values.get(column);
        found.and_then(T::from_value).ok_or(DbError::Column {
            column,
            wanted: T::WANTED,
            found: found.map_or("no such column", Value::kind),
        })
    }

    /// All columns.
    pub const fn values(&self) -> &'a [Value<'a>] {
        self.values
    }
}

/// All rows that a query gave, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    width: usize,
    values: Vec<Value<'static>>,
}

impl Rows {
    pub(crate) fn push(&mut self, row: Row<'_>) {
        self.width = row.values.len();
        self.values
            .extend(row.values.iter().map(|value| value.clone().into_owned()));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.values.chunks_exact(self.width.max(1)).map(Row::new)
    }

    /// The first, if there is one.
    pub fn first(&self) -> Option<Row<'_>> {
        self.iter().next()
    }

    /// Each row as a value of the caller's, in order.
    pub fn map<T>(
        &self,
        read: impl FnMut(Row<'_>) -> Result<T, DbError>,
    ) -> Result<Vec<T>, DbError> {
        self.iter().map(read).collect()
    }
}
