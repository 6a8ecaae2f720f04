//! What a watch sends, and how objects are shown.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::serve::Fake;
use super::store::{Entry, Id};

/// What a watch is to show, and until when.
pub(super) struct Asked {
    pub(super) id: Id,
    pub(super) view: View,
    pub(super) since: u64,
    pub(super) until: tokio::time::Instant,
    pub(super) asks_bookmarks: bool,
}

pub(super) struct Watching {
    pub(super) fake: Fake,
    pub(super) asked: Asked,
    pub(super) seen: u64,
    pub(super) news: watch::Receiver<u64>,
    pub(super) cut: watch::Receiver<u64>,
    pub(super) is_over: bool,
}

impl Watching {
    pub(super) async fn next(mut self) -> Option<(Vec<Bytes>, Self)> {
        let Asked { id, view, .. } = &self.asked;
        loop {
            if self.is_over {
                return None;
            }
            self.news.mark_unchanged();
            let entries: Vec<Entry> = self.fake.with(|store| {
                let after = store
                    .history
                    .partition_point(|entry| entry.version <= self.seen);
                let of_kind = |entry: &&Entry| {
                    entry.id.group == id.group
                        && entry.id.resource == id.resource
                        && (id.namespace.is_empty() || entry.id.namespace == id.namespace)
                };
                store.history[after..]
                    .iter()
                    .filter(of_kind)
                    .cloned()
                    .collect()
            });
            self.news.mark_unchanged();
            if let Some(last) = entries.last() {
                self.seen = last.version;
                let lines = entries
                    .into_iter()
                    .filter(|entry| view.selects(&entry.object))
                    .map(|entry| event(entry.kind, &view.of(entry.object)))
                    .collect();
                return Some((lines, self));
            }
            tokio::select! {
                _ = self.news.changed() => {}
                _ = self.cut.changed() => return None,
                () = tokio::time::sleep_until(self.asked.until) => {
                    self.is_over = true;
                    if self.asked.asks_bookmarks {
                        return Some((vec![self.bookmark()], self));
                    }
                }
            }
        }
    }
}

impl Watching {
    /// How far the watch has come.
    fn bookmark(&self) -> Bytes {
        let version = self.fake.with(|store| store.version).to_string();
        event(
            "BOOKMARK",
            &json!({ "apiVersion": "v1", "kind": "Bookmark",
                "metadata": { "resourceVersion": version, "creationTimestamp": null } }),
        )
    }
}

/// How objects are shown to whoever asks.
#[derive(Clone)]
pub(super) struct View {
    pub(super) labels: String,
    pub(super) fields: String,
    pub(super) metadata_only: bool,
}

impl View {
    pub(super) fn selects(&self, object: &Value) -> bool {
        let meta = &object["metadata"];
        let fields = |name: &str| match name {
            "metadata.name" => meta["name"].clone(),
            "metadata.namespace" => meta["namespace"].clone(),
            "reason" => object["reason"].clone(),
            "type" => object["type"].clone(),
            "regarding.kind" => object["regarding"]["kind"].clone(),
            "regarding.name" => object["regarding"]["name"].clone(),
            other => panic!("no field selector {other}"),
        };
        let is_one_of = |name: &str, values: &str| {
            let mut values = values.split(',');
            values.any(|value| meta["labels"][name] == value)
        };
        // The one selector of a set is alone.
        let labels = match self.labels.split_once(" in (") {
            Some((name, values)) => is_one_of(name, values.trim_end_matches(')')),
            None => pairs(&self.labels).all(|(name, value)| meta["labels"][name] == value),
        };
        labels && pairs(&self.fields).all(|(name, value)| fields(name) == value)
    }

    pub(super) fn of(&self, object: Value) -> Value {
        if !self.metadata_only {
            return object;
        }
        json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": object["metadata"] })
    }
}

/// The pairs of a selector.
fn pairs(selector: &str) -> impl Iterator<Item = (&str, &str)> {
    let all = selector.split(',').filter(|pair| !pair.is_empty());
    all.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// A line of a watch. As in every API server the type comes first: clients decode the object by it.
pub(super) fn event(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"))
}
