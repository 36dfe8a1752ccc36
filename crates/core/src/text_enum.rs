//! Enums with one word for each variant.

/// Declares an enum whose variants have one text form each, the same in SQL, JSON and pages:
/// `Display`, `FromStr` and serde use it. An unknown text is an error that lists the known ones.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident, $noun:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The text form.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::error::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => Err($crate::error::Error::new(
                        $crate::error::ErrorCode::InvalidArgument,
                        format!(
                            concat!("unknown ", $noun, " `{}`: expected one of {}"),
                            other.escape_debug(),
                            [$(concat!("`", $word, "`")),*].join(", "),
                        ),
                    )),
                }
            }
        }
    };
}
pub(crate) use text_enum;
