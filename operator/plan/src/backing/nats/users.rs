//! The users of the bus in the server's configuration.

use crate::{clients::Client, derive::Login, storefront::Valid};

/// One line for each workload that uses the bus.
pub(super) fn configuration(valid: &Valid, server: &str, key: &str) -> String {
    let clients = valid.clients();
    clients
        .iter()
        .filter_map(|client| user(client, server, key))
        .collect()
}

fn user(client: &Client, server: &str, key: &str) -> Option<String> {
    let subjects = client.bus.as_ref()?;
    let Login { user, password } = Login::of(key, server, &client.name);
    let publish = allowed(&subjects.publish);
    let subscribe = allowed(&subjects.subscribe);
    Some(format!(
        r#"    {{ user: "{user}", password: "{password}", permissions: {{ publish: {publish}, subscribe: {subscribe} }} }}
"#
    ))
}

/// To the server an empty list of allowed subjects means all of them.
fn allowed(subjects: &[String]) -> String {
    if subjects.is_empty() {
        return r#"{ deny: [">"] }"#.to_owned();
    }
    let quoted: Vec<String> = subjects.iter().map(|it| format!("\"{it}\"")).collect();
    format!("{{ allow: [{}] }}", quoted.join(", "))
}
