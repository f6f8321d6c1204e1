//! Closed sets of words. One list makes the enum, its text and what SQL is given; the schema is compared with it.

/// An enum whose variants are words that the database, the commands and JSON share.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $about:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $about])+ $variant,)+ }

        impl $name {
            /// All of them, in their order.
            pub const ALL: [$name; [$($word),+].len()] = [$($name::$variant),+];

            /// As everybody says and keeps it.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            /// What it means.
            pub fn about(self) -> &'static str {
                match self { $($name::$variant => concat!($($about),+),)+ }.trim_ascii()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(word: &str) -> Result<$name, Self::Err> {
                let known = $name::ALL.into_iter().find(|known| known.as_str() == word);
                known.ok_or_else(|| $crate::words::UnknownWord(word.to_owned()))
            }
        }

        #[cfg(feature = "sql")]
        $crate::words::as_sql!($name, &'r str, |word| word.as_str(), |text| Ok(text.parse()?));
    };
}

/// SQL sees a value as another one, whose type it has there.
#[cfg(feature = "sql")]
macro_rules! as_sql {
    ($name:ident, $seen:ty, |$own:ident| $to:expr, |$raw:ident| $from:expr) => {
        impl postgres_types::ToSql for $name {
            fn to_sql(
                &self,
                of: &postgres_types::Type,
                out: &mut bytes::BytesMut,
            ) -> Result<postgres_types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
                let $own = self;
                $to.to_sql(of, out)
            }

            fn accepts(of: &postgres_types::Type) -> bool {
                <Self as postgres_types::FromSql<'_>>::accepts(of)
            }

            postgres_types::to_sql_checked!();
        }

        impl<'r> postgres_types::FromSql<'r> for $name {
            fn from_sql(
                of: &postgres_types::Type,
                raw: &'r [u8],
            ) -> Result<$name, Box<dyn std::error::Error + Sync + Send>> {
                let $raw = <$seen as postgres_types::FromSql>::from_sql(of, raw)?;
                $from
            }

            fn accepts(of: &postgres_types::Type) -> bool {
                <$seen as postgres_types::FromSql>::accepts(of)
            }
        }
    };
}

#[cfg(feature = "sql")]
pub(crate) use as_sql;
pub(crate) use words;

/// A word that is none of its set: written by a later version, perhaps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this version does not know the word {0}")]
pub struct UnknownWord(pub String);
