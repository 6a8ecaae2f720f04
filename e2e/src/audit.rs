//! The API server's audit log. It holds every write, and every request of the operator.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};

use anyhow::Context as _;
use serde_json::Value;

use crate::Kubectl;

/// How the operator's user name ends.
pub const OPERATOR: &str = ":storefront-operator";

/// A position in the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// Requests of one user, counted by `verb resource`.
pub type Requests = BTreeMap<String, usize>;

/// The end of the log as it is now.
pub fn mark(kubectl: &Kubectl) -> anyhow::Result<Mark> {
    Ok(Mark(open(kubectl)?.metadata()?.len()))
}

/// Writes since the mark by users whose name ends with `user`.
pub fn writes_since(kubectl: &Kubectl, mark: Mark, user: &str) -> anyhow::Result<Requests> {
    let mut requests = requests_since(kubectl, mark, user)?;
    requests.retain(|request, _| is_write(request));
    Ok(requests)
}

/// All requests since the mark by users whose name ends with `user`. A watch counts when it begins.
pub fn requests_since(kubectl: &Kubectl, mark: Mark, user: &str) -> anyhow::Result<Requests> {
    let mut file = open(kubectl)?;
    file.seek(SeekFrom::Start(mark.0))?;
    let mut requests = Requests::new();
    for line in BufReader::new(file).lines() {
        let Ok(event) = serde_json::from_str::<Value>(&line?) else {
            continue;
        };
        let by = event["user"]["username"].as_str().unwrap_or_default();
        let verb = event["verb"].as_str().unwrap_or_default();
        let stage = if verb == "watch" {
            "ResponseStarted"
        } else {
            "ResponseComplete"
        };
        if by.ends_with(user) && event["stage"] == stage {
            let object = &event["objectRef"];
            let mut resource = object["resource"].as_str().unwrap_or_default().to_owned();
            if let Some(sub) = object["subresource"].as_str() {
                resource = format!("{resource}/{sub}");
            }
            *requests.entry(format!("{verb} {resource}")).or_default() += 1;
        }
    }
    Ok(requests)
}

/// Whether a key of [`Requests`] is a write.
pub fn is_write(request: &str) -> bool {
    let verb = request.split(' ').next().unwrap_or_default();
    matches!(
        verb,
        "create" | "update" | "patch" | "delete" | "deletecollection"
    )
}

fn open(kubectl: &Kubectl) -> anyhow::Result<std::fs::File> {
    let path = kubectl.state().join("logs/audit.log");
    std::fs::File::open(&path).with_context(|| format!("failed to open {}", path.display()))
}
