//! What makes an account: a name, an address, a password, each checked before anything is stored.

use vocabulary::UserId;

/// Role of everybody who has an account.
pub const CUSTOMER: &str = "customer";
/// Role of those who run the shop.
pub const ADMIN: &str = "admin";

/// One field that was refused, with a sentence that its sender understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// Name of the field in the request.
    pub field: &'static str,
    /// What it should have been.
    pub message: &'static str,
}

/// A name that others see: 3 to 32 of `A-Z a-z 0-9 _ . -`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, FieldError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if !(3..=32).contains(&name.len()) || !name.bytes().all(legal) {
            return Err(FieldError {
                field: "username",
                message: "must be 3 to 32 of the characters A-Z a-z 0-9 _ . -",
            });
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is unique: `Ann` and `ann` are the same name, so that nobody poses as another.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// A plausible address. Only a mail that arrives proves one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Checks an address.
    pub fn new(address: &str) -> Result<Self, FieldError> {
        let refusal = FieldError {
            field: "email",
            message: "must be an e-mail address such as ann@example.com",
        };
        let (local, domain) = address.rsplit_once('@').ok_or(refusal)?;
        if address.len() > 254 || !plausible_local(local) || !plausible_domain(domain) {
            return Err(refusal);
        }
        Ok(Self(address.to_owned()))
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is unique, see [`email_key`].
    pub fn key(&self) -> String {
        email_key(&self.0)
    }
}

/// What an address is compared by: mail servers that tell `Ann@` from `ann@` are not known to
/// exist, people who mistype the case are. Computed here, so that it does not depend on the
/// database's locale.
pub fn email_key(address: &str) -> String {
    address.to_lowercase()
}

fn plausible_local(local: &str) -> bool {
    let legal = |c: char| !c.is_whitespace() && !c.is_control() && !"@<>(),;:\\\"[]".contains(c);
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    (1..=64).contains(&local.len()) && local.chars().all(legal) && !dots
}

fn plausible_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.contains('.') && domain.split('.').all(label)
}

/// A password on its way to being hashed. No `Debug`, no `Display`: it cannot be logged.
pub struct Password(String);

impl Password {
    /// The most that is hashed; more is a mistake or an attack on the processor.
    pub const MAX_CHARS: usize = 128;

    /// Checks a new password: length is what counts, as NIST SP 800-63B says.
    pub fn new(text: String) -> Result<Self, FieldError> {
        if !(10..=Self::MAX_CHARS).contains(&text.chars().count()) {
            return Err(FieldError {
                field: "password",
                message: "must be 10 to 128 characters long",
            });
        }
        Ok(Self(text))
    }

    /// A password to compare with a stored hash; too long a one is cut, and then matches nothing
    /// that [`Password::new`] let in.
    pub fn attempt(text: &str) -> Self {
        Self(text.chars().take(Self::MAX_CHARS + 1).collect())
    }

    /// The bytes to hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A request for an account, checked.
pub struct Registration {
    /// Name.
    pub username: Username,
    /// Address.
    pub email: Email,
    /// Password.
    pub password: Password,
}

impl Registration {
    /// Checks all fields and names every refused one, not just the first.
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

/// What a token is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who.
    pub user_id: UserId,
    /// What they may do.
    pub roles: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_three_to_thirty_two_plain_characters_are_names() {
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
    fn plausible_addresses_are_taken() {
        for address in [
            "ann@example.com",
            "a.b+c@mail.example.co.uk",
            "jörg@bücher.example",
        ] {
            assert!(Email::new(address).is_ok(), "{address}");
        }
    }

    #[test]
    fn implausible_addresses_are_refused() {
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
            &long,
        ] {
            assert_eq!(Email::new(address).unwrap_err().field, "email", "{address}");
        }
    }

    #[test]
    fn case_does_not_make_another_person() {
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
    fn every_refused_field_is_named() {
        let Err(errors) = Registration::check("x", "y", "z".to_owned()) else {
            panic!("nothing was refused");
        };
        let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
        assert_eq!(fields, ["username", "email", "password"]);
    }
}
