use serde::{Deserialize, Serialize};
use vocabulary::FieldError;

/// Where the parcel is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    pub name: String,
    pub line1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    pub postal_code: String,
    pub city: String,
    /// ISO 3166 country code, two letters.
    pub country: String,
}

impl Address {
    pub(super) fn errors(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for (name, text, most) in [
            ("name", &self.name, 200),
            ("line1", &self.line1, 200),
            ("postal_code", &self.postal_code, 20),
            ("city", &self.city, 200),
        ] {
            if !is_printable(text, most) || text.trim().is_empty() {
                let message = format!("1 to {most} characters, none of them a control character");
                errors.push(FieldError::new(format!("address.{name}"), message));
            }
        }
        if self.line2.as_ref().is_some_and(|l| !is_printable(l, 200)) {
            errors.push(FieldError::new("address.line2", "at most 200 characters"));
        }
        let country = self.country.as_bytes();
        if country.len() != 2 || !country.iter().all(u8::is_ascii_uppercase) {
            let message = "two upper-case letters, as in ISO 3166";
            errors.push(FieldError::new("address.country", message));
        }
        errors
    }
}

/// At most so many characters, none of them a control character.
pub(super) fn is_printable(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}
