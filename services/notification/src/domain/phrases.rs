//! What is said, by language.

use std::str::FromStr;

/// A language that mail is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locale {
    /// English.
    En,
    /// German.
    De,
}

/// A language that nobody has written phrases for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mail is written in en or de")]
pub struct UnknownLocale;

impl Locale {
    /// The language tag.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// What is said in this language.
    pub const fn phrases(self) -> &'static Phrases {
        match self {
            Self::En => &EN,
            Self::De => &DE,
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

/// Subject and first paragraph of one kind of message. `{shop}`, `{number}` and `{amount}` are
/// filled in.
pub struct Words {
    /// Subject.
    pub subject: &'static str,
    /// First paragraph.
    pub intro: &'static str,
}

/// Everything that is said in one language.
pub struct Phrases {
    /// To somebody whose name is known: `{name}`.
    pub greeting: &'static str,
    /// To anybody.
    pub greeting_anybody: &'static str,
    /// To a new account.
    pub welcome: Words,
    /// An order was placed.
    pub order_placed: Words,
    /// An order was paid.
    pub order_paid: Words,
    /// An order was cancelled.
    pub order_cancelled: Words,
    /// Before the sum.
    pub total: &'static str,
    /// Before the link to the shop.
    pub visit: &'static str,
    /// Who signs.
    pub signature: &'static str,
}

static EN: Phrases = Phrases {
    greeting: "Hello {name},",
    greeting_anybody: "Hello,",
    welcome: Words {
        subject: "Welcome to {shop}",
        intro: "Your account at {shop} is ready. You can log in with this e-mail address.",
    },
    order_placed: Words {
        subject: "Your order {number} at {shop}",
        intro: "Thank you for your order {number}. This is what you ordered:",
    },
    order_paid: Words {
        subject: "Payment received for order {number}",
        intro: "We have received your payment of {amount} for order {number}.",
    },
    order_cancelled: Words {
        subject: "Order {number} is cancelled",
        intro: "Your order {number} is cancelled. What was paid goes back the way it came. \
                This is what it held:",
    },
    total: "Total",
    visit: "Visit the shop:",
    signature: "Kind regards\n{shop}",
};

static DE: Phrases = Phrases {
    greeting: "Hallo {name},",
    greeting_anybody: "Guten Tag,",
    welcome: Words {
        subject: "Willkommen bei {shop}",
        intro: "Ihr Konto bei {shop} ist bereit. Sie können sich mit dieser E-Mail-Adresse anmelden.",
    },
    order_placed: Words {
        subject: "Ihre Bestellung {number} bei {shop}",
        intro: "Vielen Dank für Ihre Bestellung {number}. Das haben Sie bestellt:",
    },
    order_paid: Words {
        subject: "Zahlung für Bestellung {number} eingegangen",
        intro: "Wir haben Ihre Zahlung von {amount} für die Bestellung {number} erhalten.",
    },
    order_cancelled: Words {
        subject: "Bestellung {number} ist storniert",
        intro: "Ihre Bestellung {number} ist storniert. Was bezahlt wurde, geht auf demselben Weg \
                zurück. Das war darin:",
    },
    total: "Summe",
    visit: "Zum Shop:",
    signature: "Freundliche Grüße\n{shop}",
};

/// Fills `{name}`s in, in one pass: what is filled in is not looked at again, so that a name with
/// braces stays a name.
pub fn fill(phrase: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(phrase.len() + 32);
    let mut rest = phrase;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let value = values.iter().find(|(key, _)| *key == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        let filled = fill("{name} at {shop}!", &[("name", "{shop}"), ("shop", "Demo")]);
        assert_eq!(filled, "{shop} at Demo!");
    }

    #[test]
    fn every_phrase_of_both_languages_asks_only_for_what_there_is() {
        for locale in [Locale::En, Locale::De] {
            let phrases = locale.phrases();
            let words = [
                &phrases.welcome,
                &phrases.order_placed,
                &phrases.order_paid,
                &phrases.order_cancelled,
            ];
            for text in words.iter().flat_map(|words| [words.subject, words.intro]) {
                for (_, after) in text.match_indices('{').map(|(at, _)| text.split_at(at + 1)) {
                    let name = after.split_once('}').unwrap().0;
                    assert!(
                        ["shop", "number", "amount"].contains(&name),
                        "{name} in {text}"
                    );
                }
            }
        }
    }

    #[test]
    fn languages_are_known_by_their_tags() {
        for locale in [Locale::En, Locale::De] {
            assert_eq!(locale.as_str().parse(), Ok(locale));
        }
        assert_eq!("fr".parse::<Locale>(), Err(UnknownLocale));
    }

    proptest::proptest! {
        #[test]
        fn filling_never_fails_and_keeps_what_is_filled_in(phrase: String, name: String) {
            let filled = fill(&format!("{{name}}{}", phrase.replace('{', "")), &[("name", &name)]);
            proptest::prop_assert!(filled.starts_with(&name));
            fill(&phrase, &[("name", &name)]);
        }
    }
}
