//! What is said of a server that cannot be used, with the Secret in which the remedy lies.

use crds::{DatabaseBinding, Storefront};

use super::validate::{admin_secret, embedded_server, owner};

/// The login was refused.
const DENIED: &str = "ServerDenied";
/// The login lacks a right.
pub const FORBIDDEN: &str = "ServerForbids";
/// How a failed look-up begins on every platform.
const LOOKUP: &str = "failed to lookup address information: ";
/// What is said in its place, also where only a question for the name tells it.
const UNRESOLVED: &str = "is not resolved: ";
/// What is said where DNS gives no answer, which tells nothing of the name.
const UNANSWERED: [&str; 2] = [
    "DNS does not answer",
    "Temporary failure in name resolution",
];

/// Why there is no connection, where `error` is what the system says of it.
pub fn unreachable(host: &str, error: &str) -> String {
    match error.split_once(LOOKUP) {
        Some((_, why)) => format!("the name {host} {UNRESOLVED}{why}"),
        None => error.to_owned(),
    }
}

/// What a failure of the server is reported with: `message`, and what to do about it.
pub fn remedy(
    binding: &DatabaseBinding,
    storefront: Option<&Storefront>,
    (reason, message): (&str, &str),
) -> String {
    let Some(secret) = admin_secret(binding, storefront) else {
        return message.to_owned();
    };
    if embedded_server(binding, storefront).is_some() {
        // The operator makes that Secret: what differs is the server's.
        return if reason == DENIED {
            format!(
                "{message}; set the password that is in the Secret {secret} on the server again"
            )
        } else {
            message.to_owned()
        };
    }
    let secret = format!("the Secret {secret} ({})", field(binding));
    if reason == DENIED {
        format!(
            "{message}; correct username and password in {secret}, or have the server accept them"
        )
    } else if reason == FORBIDDEN {
        format!(
            "{message}; the login in {secret} needs createdb, createrole and connect on the database postgres"
        )
    } else if message.contains(UNRESOLVED) && !UNANSWERED.iter().any(|it| message.contains(it)) {
        format!("{message}; correct host in {secret}")
    } else {
        message.to_owned()
    }
}

/// The field that names the Secret of a server which the user runs.
fn field(binding: &DatabaseBinding) -> String {
    let server = &binding.spec.server_ref;
    let shop = owner(binding).map(|(name, _)| name);
    match shop.or(server.storefront.as_deref()) {
        Some(shop) => format!("spec.database.external.adminSecretRef of Storefront {shop}"),
        None => "spec.serverRef.adminSecret".to_owned(),
    }
}
