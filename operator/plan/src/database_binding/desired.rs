use crds::{BindingRef, DatabaseBinding, DatabaseBindingStatus};

use super::{Valid, secret_name};
use crate::{Mode, Objects, Planned, pods, storefront::Data};

/// The binding's Secret. It keeps the password that it has; `fresh_password` is used only where there
/// is none yet. Written before any SQL, so that the server never knows a password that nobody else does.
pub fn desired(valid: &Valid, fresh_password: &str) -> Objects<Planned> {
    let mode = if valid.password.is_some() {
        Mode::Apply
    } else {
        Mode::Create
    };
    let password = valid.password.as_deref().unwrap_or(fresh_password);
    let name = secret_name(&valid.binding);
    let meta = valid.scope.meta(&name, "database-binding", valid.name());
    let secret = pods::secret(
        meta,
        "servicebinding.io/postgresql",
        content(valid, password),
    );
    let mut objects = Objects::new();
    objects.push(mode, &secret);
    objects
}

/// What is going to be made, by name; it belongs in the status before it is made.
pub fn intent(binding: &DatabaseBinding, valid: &Valid) -> DatabaseBindingStatus {
    DatabaseBindingStatus {
        binding: Some(BindingRef {
            name: secret_name(binding),
        }),
        database: Some(valid.names.database.clone()),
        role: Some(valid.names.login.clone()),
        ..binding.status.clone().unwrap_or_default()
    }
}

fn content(valid: &Valid, password: &str) -> Data {
    let server = &valid.server;
    let (login, database) = (&valid.names.login, &valid.names.database);
    let uri = format!(
        "postgresql://{}:{}@{}:{}/{}",
        encode(login),
        encode(password),
        server.host,
        server.port,
        encode(database)
    );
    [
        ("type", "postgresql".to_owned()),
        ("provider", "storefront".to_owned()),
        ("host", server.host.clone()),
        ("port", server.port.to_string()),
        ("database", database.clone()),
        ("username", login.clone()),
        ("password", password.to_owned()),
        ("uri", uri),
    ]
    .map(|(key, value)| (key.to_owned(), value.into_bytes()))
    .into()
}

/// Percent-encodes everything but letters, digits and `-._~`.
fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn what_ends_a_part_of_a_uri_is_encoded() {
        assert_eq!(encode("a:b@c/d%"), "a%3Ab%40c%2Fd%25");
        assert_eq!(encode("plain-._~9"), "plain-._~9");
    }
}
