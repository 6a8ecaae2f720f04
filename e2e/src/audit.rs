//! The API server's audit log.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};

use anyhow::Context as _;
use serde_json::Value;

use crate::Kubectl;

/// A position in the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// The end of the log as it is now.
pub fn mark(kubectl: &Kubectl) -> anyhow::Result<Mark> {
    Ok(Mark(open(kubectl)?.metadata()?.len()))
}

/// Writes since the mark by users whose name ends with `user`, counted by `verb resource`.
pub fn writes_since(
    kubectl: &Kubectl,
    mark: Mark,
    user: &str,
) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut file = open(kubectl)?;
    file.seek(SeekFrom::Start(mark.0))?;
    let mut counts = BTreeMap::new();
    for line in BufReader::new(file).lines() {
        let Ok(event) = serde_json::from_str::<Value>(&line?) else {
            continue;
        };
        let by = event["user"]["username"].as_str().unwrap_or_default();
        let verb = event["verb"].as_str().unwrap_or_default();
        let written = matches!(
            verb,
            "create" | "update" | "patch" | "delete" | "deletecollection"
        );
        if written && by.ends_with(user) && event["stage"] == "ResponseComplete" {
            let object = &event["objectRef"];
            let mut resource = object["resource"].as_str().unwrap_or_default().to_owned();
            if let Some(sub) = object["subresource"].as_str() {
                resource = format!("{resource}/{sub}");
            }
            *counts.entry(format!("{verb} {resource}")).or_default() += 1;
        }
    }
    Ok(counts)
}

fn open(kubectl: &Kubectl) -> anyhow::Result<std::fs::File> {
    let path = kubectl.state().join("logs/audit.log");
    std::fs::File::open(&path).with_context(|| format!("open {}", path.display()))
}
