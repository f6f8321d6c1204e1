//! How a key is declared: its meaning, name, type, default and kind, in one place.

use super::file;
use super::kinds::ValueKind;
use super::layers::Raw;
use super::reader::ConfigReader;

/// What is known of a key without anybody's configuration.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its path: `[]` stands for each table of a list, `*` for a name of the operator's own.
    pub path: String,
    /// What it means, line by line.
    pub comment: Vec<&'static str>,
    /// What holds when nobody says otherwise, as it is written in TOML.
    pub default: &'static str,
    /// What the shipped file shows in its place, where the default says little.
    pub example: Option<&'static str>,
    /// What may be given.
    pub takes: String,
    /// Whether it is a secret, which may stand in a file of its own.
    pub is_secret: bool,
}

impl Key {
    /// Declares a key of the section at `at`.
    pub fn new<T>(
        at: &str,
        name: &str,
        comment: &[&'static str],
        default: &'static str,
        kind: ValueKind<T>,
    ) -> Key {
        let ValueKind { takes, is_secret, example, .. } = kind;
        Key { path: join(at, name), comment: comment.to_vec(), default, example, takes, is_secret }
    }

    /// The variable that sets it: `inbox[].batch.rows` is `MAKEGOOD_INBOX_BATCH_ROWS`. A `*` is left in it.
    pub fn variable(&self) -> String {
        match self.path.strip_prefix("kafka.properties.") {
            Some(name) => format!("MAKEGOOD_KAFKA__{name}"),
            None => {
                format!("MAKEGOOD_{}", self.path.replace("[]", "").replace('.', "_").to_uppercase())
            }
        }
    }

    /// The default, read as TOML; its kind refuses what cannot be read.
    pub fn default_of(text: &str) -> Raw {
        file::value(text).unwrap_or(Raw::Tables(0))
    }
}

/// A table of the configuration.
pub trait Section {
    /// What it is about, line by line.
    fn about() -> Vec<&'static str>;
    /// Its keys, with `at` before their names.
    fn keys(at: &str) -> Vec<Key>;
    /// Takes its values.
    fn read(from: &mut ConfigReader, at: &str) -> Self;
}

/// A key's path in a table.
pub fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// Declares a struct that is a table of the configuration. A line is a key: `name: Type = default, kind;` with the
/// default as it is written in TOML, and its comment is the one in deploy/makegood.toml and in the reference. A line without
/// a default is a table in the table.
macro_rules! section {
    ($(#[doc = $about:literal])* $vis:vis struct $name:ident($($derive:ident),+) {
        $($(#[doc = $doc:literal])* $field:ident: $type:ty $(= $default:tt, $kind:expr)?;)+
    }) => {
        $(#[doc = $about])*
        #[derive($($derive),+)]
        #[allow(rustdoc::broken_intra_doc_links, rustdoc::bare_urls, rustdoc::invalid_html_tags,
            reason = "the comments are those of the shipped file")]
        $vis struct $name { $($(#[doc = $doc])* pub $field: $type,)+ }

        impl $crate::declare::Section for $name {
            fn about() -> Vec<&'static str> {
                vec![$($about),*]
            }

            fn keys(at: &str) -> Vec<$crate::declare::Key> {
                let mut keys = Vec::new();
                $(keys.extend($crate::declare::section!(@key at, $field, $type, [$($doc),*] $(, $default, $kind)?));)+
                keys
            }

            fn read(from: &mut $crate::reader::ConfigReader, at: &str) -> Self {
                $name { $($field: $crate::declare::section!(@read from, at, $field, $type $(, $default, $kind)?),)+ }
            }
        }
    };
    (@key $at:ident, $field:ident, $type:ty, [$($doc:literal),*], $default:tt, $kind:expr) => {
        [$crate::declare::Key::new::<$type>($at, stringify!($field), &[$($doc),*], stringify!($default), $kind)]
    };
    (@key $at:ident, $field:ident, $type:ty, [$($doc:literal),*]) => {{
        let at = $crate::declare::join($at, stringify!($field));
        let mut keys = <$type as $crate::declare::Section>::keys(&at);
        if let Some(first) = keys.first_mut() {
            first.comment = [$($doc),*].into_iter().chain(first.comment.drain(..)).collect();
        }
        keys
    }};
    (@read $from:ident, $at:ident, $field:ident, $type:ty, $default:tt, $kind:expr) => {
        $from.take($at, stringify!($field), stringify!($default), &$kind)
    };
    (@read $from:ident, $at:ident, $field:ident, $type:ty) => {
        <$type as $crate::declare::Section>::read($from, &$crate::declare::join($at, stringify!($field)))
    };
}
pub(crate) use section;
