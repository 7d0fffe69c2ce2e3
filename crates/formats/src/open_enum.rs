//! Enumerations that later versions of a format may extend: a value that we do not know is kept.

/// What every such enumeration can say of itself, for the checks of written documents.
pub(crate) trait Vocabulary: std::fmt::Display {
    /// Whether the format defines this value.
    fn is_in_vocabulary(&self) -> bool;
}

/// Defines an enumeration of strings with a variant `Other` for what is not in the list.
///
/// It gets `as_str`, `is_known`, `Display`, `From<&str>` and serde through them, so that reading
/// and writing a value is the identity, known or not.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $text:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )+
            /// A value that the format's version known here does not have, kept as it stood.
            Other(Box<str>),
        }

        impl $name {
            /// Every value that the format defines, in the order of its specification.
            pub const KNOWN: &[Self] = &[$( Self::$variant, )+];

            /// The value as the format spells it.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $text, )+
                    Self::Other(text) => text,
                }
            }

            /// Whether the format defines this value.
            pub fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl $crate::open_enum::Vocabulary for $name {
            fn is_in_vocabulary(&self) -> bool {
                self.is_known()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $( $text => Self::$variant, )+
                    other => Self::Other(other.into()),
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl ::serde::de::Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        f.write_str("a string")
                    }

                    fn visit_str<E: ::serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        Ok($name::from(text))
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

pub(crate) use open_enum;

#[cfg(test)]
mod tests {
    use super::Vocabulary;
    use crate::cyclonedx::Scope;

    #[test]
    fn known_and_unknown_values_survive() {
        for text in ["required", "excluded", "sometimes", ""] {
            let json = serde_json::to_string(text).unwrap();
            let scope: Scope = serde_json::from_str(&json).unwrap();
            assert_eq!(scope.as_str(), text);
            assert_eq!(serde_json::to_string(&scope).unwrap(), json);
        }
        assert_eq!(Scope::from("required"), Scope::Required);
        assert!(Scope::Required.is_in_vocabulary());
        assert!(!Scope::from("sometimes").is_in_vocabulary());
        assert_eq!(Scope::KNOWN.len(), 3);
        assert!(serde_json::from_str::<Scope>("1").is_err());
    }
}
