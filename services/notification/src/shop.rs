//! The shop that mail is sent for.

use std::str::FromStr;

/// Name, URL and language of the shop.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Name, as customers know it.
    pub name: String,
    /// URL, for links.
    pub url: String,
    /// Language of its mail.
    pub locale: Locale,
}

/// A language that mail can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locale {
    /// English.
    En,
    /// German.
    De,
}

/// A language without phrases.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unsupported language: use en or de")]
pub struct UnknownLocale;

impl Locale {
    /// The language tag.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }
}

impl FromStr for Locale {
    type Err = UnknownLocale;

    fn from_str(text: &str) -> Result<Self, UnknownLocale> {
        match text {
            "en" => Ok(Self::En),
            "de" => Ok(Self::De),
            _ => Err(UnknownLocale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_known_by_their_tags() {
        for locale in [Locale::En, Locale::De] {
            assert_eq!(locale.as_str().parse(), Ok(locale));
        }
        assert_eq!("fr".parse::<Locale>(), Err(UnknownLocale));
    }
}
