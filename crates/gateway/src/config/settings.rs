//! The declaration of a section.

use super::kinds::Kind;
use super::source::SectionReader;

/// A table of the file: what it is called and what can be set in it.
pub(super) trait Section: Sized {
    /// The table's name.
    const NAME: &'static str;
    /// What its variables begin with.
    const ENVIRONMENT_PREFIX: &'static str;

    /// Reads all its settings; a wrong one is reported and replaced by its default.
    fn read(reader: &mut SectionReader<'_, '_>) -> Self;

    /// What the documents say.
    fn documented() -> Documented;
}

/// A section as the documents describe it.
#[derive(Clone, Debug)]
pub(super) struct Documented {
    pub(super) name: &'static str,
    pub(super) environment_prefix: &'static str,
    pub(super) about: String,
    pub(super) settings: Vec<Setting>,
}

/// A setting as the documents describe it.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) about: String,
    /// The default, as TOML.
    pub(super) default: String,
    /// What the example file shows, as TOML.
    pub(super) example: String,
    /// Which values are allowed, as a noun phrase.
    pub(super) allowed: String,
}

impl Setting {
    /// `V` is there so that the kind is inferred from the type of the field.
    pub(super) fn new<V, K: Kind<Value = V>>(
        name: &'static str,
        about: &[&str],
        kind: &K,
        default: &str,
        example: &str,
    ) -> Self {
        Self {
            name,
            about: paragraph(about),
            default: kind.toml(default),
            example: kind.toml(example),
            allowed: kind.allowed(),
        }
    }

    /// The variable that sets it.
    pub(super) fn variable(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.name.to_uppercase())
    }
}

/// The lines of a doc comment as one paragraph.
pub(super) fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Declares a section: a struct with a field for each setting, and all that is known about them.
///
/// ```text
/// settings! {
///     /// What the section is about.
///     pub struct Drain("drain", "COURANT_DRAIN_") {
///         /// What the setting does.
///         duration: Duration = time("0s", "1h"), default "10s";
///     }
/// }
/// ```
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $Section:ident($name:literal, $prefix:literal) {
            $(
                $(#[doc = $doc:literal])*
                $field:ident: $Value:ty = $kind:expr, default $default:literal $(, example $example:literal)?;
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $Section {
            $($(#[doc = $doc])* $vis $field: $Value,)*
        }

        impl $crate::config::settings::Section for $Section {
            const NAME: &'static str = $name;
            const ENVIRONMENT_PREFIX: &'static str = $prefix;

            fn read(reader: &mut $crate::config::source::SectionReader<'_, '_>) -> Self {
                Self { $($field: reader.read(stringify!($field), &$kind, $default),)* }
            }

            fn documented() -> $crate::config::settings::Documented {
                $crate::config::settings::Documented {
                    name: $name,
                    environment_prefix: $prefix,
                    about: $crate::config::settings::paragraph(&[$($about),*]),
                    settings: vec![$({
                        let _example = $default;
                        $(let _example = $example;)?
                        $crate::config::settings::Setting::new::<$Value, _>(
                            stringify!($field), &[$($doc),*], &$kind, $default, _example,
                        )
                    }),*],
                }
            }
        }
    };
}

pub(super) use settings;
