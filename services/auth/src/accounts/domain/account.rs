//! The parts of an account, each checked before anything is stored.

use email_address::{EmailAddress, Options};
use vocabulary::{FieldError, UserId};

/// The longest address that SMTP can carry.
const MAX_EMAIL_BYTES: usize = 254;

/// A public name: 3 to 32 of `A-Z a-z 0-9 _ . -`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, FieldError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if !(3..=32).contains(&name.len()) || !name.bytes().all(legal) {
            return Err(FieldError::new(
                "username",
                "must be 3 to 32 of the characters A-Z a-z 0-9 _ . -",
            ));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The unique key: `Ann` and `ann` are the same name, so that nobody can pose as another.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// An e-mail address with valid syntax. Only a mail that arrives proves that it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Checks an address.
    pub fn new(address: &str) -> Result<Self, FieldError> {
        // A quoted local part is legal, but nobody has one: most likely it is an attack on a mail header.
        if address.len() > MAX_EMAIL_BYTES || address.contains('"') {
            return Err(invalid_email());
        }
        let options = Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        EmailAddress::parse_with_options(address, options)
            .map(|_| Self(address.to_owned()))
            .map_err(|_| invalid_email())
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The unique key, see [`email_key`].
    pub fn key(&self) -> String {
        email_key(&self.0)
    }
}

fn invalid_email() -> FieldError {
    FieldError::new("email", "must be an e-mail address such as ann@example.com")
}

/// The key by which addresses are compared, regardless of case: mail servers do not distinguish `Ann@` from
/// `ann@`, and people mistype the case. Computed here, so that it does not depend on the database's locale.
pub fn email_key(address: &str) -> String {
    address.to_lowercase()
}

/// A password to be hashed. No `Debug`, no `Display`: it cannot be logged.
pub struct Password(String);

impl Password {
    /// The longest password that is hashed; a longer one is a mistake or an attack on the CPU.
    pub const MAX_CHARS: usize = 128;

    /// Checks a new password. Only its length counts, as NIST SP 800-63B recommends.
    pub fn new(text: String) -> Result<Self, FieldError> {
        if !(10..=Self::MAX_CHARS).contains(&text.chars().count()) {
            return Err(FieldError::new(
                "password",
                "must be 10 to 128 characters long",
            ));
        }
        Ok(Self(text))
    }

    /// A password to compare with a stored hash. One that is too long is cut, and then matches nothing that
    /// [`Password::new`] accepted.
    pub fn attempt(text: &str) -> Self {
        Self(text.chars().take(Self::MAX_CHARS + 1).collect())
    }

    /// The bytes to hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A valid request for an account.
pub struct Registration {
    pub username: Username,
    pub email: Email,
    /// Password.
    pub password: Password,
}

impl Registration {
    /// Checks all fields, and names every invalid one.
    pub fn check(username: &str, email: &str, password: String) -> Result<Self, Vec<FieldError>> {
        match (
            Username::new(username),
            Email::new(email),
            Password::new(password),
        ) {
            (Ok(username), Ok(email), Ok(password)) => Ok(Self {
                username,
                email,
                password,
            }),
            (username, email, password) => Err([username.err(), email.err(), password.err()]
                .into_iter()
                .flatten()
                .collect()),
        }
    }
}

/// The subject of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Account.
    pub user_id: UserId,
    /// Names of its roles.
    pub roles: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_has_three_to_thirty_two_plain_characters() {
        for name in ["ann", "A.b-c_9", &"x".repeat(32)] {
            assert!(Username::new(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "an",
            "a b",
            "ann@home",
            "änn",
            "a\u{0}nn",
            &"x".repeat(33),
        ] {
            assert_eq!(Username::new(name).unwrap_err().field, "username", "{name}");
        }
    }

    #[test]
    fn addresses_of_mailboxes_are_accepted() {
        for address in [
            "ann@example.com",
            "a.b+c@mail.example.co.uk",
            "jörg@bücher.example",
        ] {
            assert!(Email::new(address).is_ok(), "{address}");
        }
    }

    #[test]
    fn other_text_is_refused_as_an_address() {
        let long = format!("{}@example.com", "x".repeat(65));
        for address in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "ann@localhost",
            "ann@exa mple.com",
            "ann@@example.com",
            "ann@example..com",
            "ann@-example.com",
            ".ann@example.com",
            "ann\r\nBcc: all@example.com",
            "ann\n@example.com",
            "<ann@example.com>",
            "Ann <ann@example.com>",
            "\"ann lee\"@example.com",
            "ann@[192.0.2.1]",
            &long,
        ] {
            assert_eq!(Email::new(address).unwrap_err().field, "email", "{address}");
        }
    }

    #[test]
    fn addresses_and_names_are_compared_regardless_of_case() {
        assert_eq!(
            Email::new("Ann@Example.COM").unwrap().key(),
            Email::new("ann@example.com").unwrap().key()
        );
        assert_eq!(
            Username::new("Ann").unwrap().key(),
            Username::new("aNN").unwrap().key()
        );
    }

    #[test]
    fn password_length_is_counted_in_characters() {
        assert!(Password::new("ä".repeat(10)).is_ok());
        assert!(Password::new("ä".repeat(128)).is_ok());
        assert!(Password::new("x".repeat(9)).is_err());
        assert!(Password::new("x".repeat(129)).is_err());
    }

    #[test]
    fn every_invalid_field_is_named() {
        let Err(errors) = Registration::check("x", "y", "z".to_owned()) else {
            panic!("invalid fields were accepted");
        };
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_ref()).collect();
        assert_eq!(fields, ["username", "email", "password"]);
    }
}
