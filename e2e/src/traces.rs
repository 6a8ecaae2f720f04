//! The spans that reached the collector: it writes every span to its log (`e2e/manifests/otelcol.yaml`).

use std::collections::BTreeMap;

use crate::Kubectl;

/// A span as the collector logged it.
#[derive(Clone, Debug, Default)]
pub struct Span {
    pub service: String,
    pub trace: String,
    pub id: String,
    /// Empty for the first span of its trace.
    pub parent: String,
    pub name: String,
    pub attributes: BTreeMap<String, String>,
}

/// The spans of the services of a namespace, so far.
pub fn collected(kubectl: &Kubectl, namespace: &str) -> anyhow::Result<Vec<Span>> {
    let log = ["logs", "deployment/collector", "--tail=-1"];
    let log = kubectl.run(&[&["-n", "tracing"], &log[..]].concat())?;
    Ok(read(&log, namespace))
}

/// Reads what the exporter `debug` writes: first the process, then its spans.
fn read(log: &str, namespace: &str) -> Vec<Span> {
    let mut process = BTreeMap::new();
    let mut spans: Vec<Span> = Vec::new();
    let (mut is_process, mut is_ours) = (false, false);
    for line in log.lines() {
        if line.contains("ResourceSpans #") {
            (process, is_process) = (BTreeMap::new(), true);
        } else if line.starts_with("ScopeSpans #") {
            is_process = false;
            is_ours = process.get("service.namespace").map(String::as_str) == Some(namespace);
        } else if line.starts_with("Span #") && is_ours {
            spans.push(Span {
                service: process.get("service.name").cloned().unwrap_or_default(),
                ..Span::default()
            });
        }
        let attribute = line.trim_start().strip_prefix("-> ");
        let attribute = attribute.and_then(|rest| rest.split_once(": "));
        let attribute = attribute.map(|(key, value)| (key.to_owned(), unwrapped(value)));
        match (attribute, spans.last_mut()) {
            (Some((key, value)), _) if is_process => {
                process.insert(key, value);
            }
            (Some((key, value)), Some(span)) if is_ours => {
                span.attributes.insert(key, value);
            }
            (None, Some(span)) if is_ours && !is_process => fill(span, line),
            _ => {}
        }
    }
    spans
}

fn fill(span: &mut Span, line: &str) {
    let Some((field, value)) = line.split_once(':') else {
        return;
    };
    let value = value.trim().to_owned();
    match field.trim() {
        "Trace ID" => span.trace = value,
        "Parent ID" => span.parent = value,
        "ID" => span.id = value,
        "Name" => span.name = value,
        _ => {}
    }
}

/// The value of `Str(value)` or `Int(value)`.
fn unwrapped(value: &str) -> String {
    let inner = value
        .split_once('(')
        .and_then(|(_, it)| it.strip_suffix(')'));
    inner.unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-11-26T11:11:16.170Z\tinfo\tTraces\t{\"resource spans\": 1, \"spans\": 1}
2026-11-26T11:11:16.170Z\tinfo\tResourceSpans #0
Resource SchemaURL: 
Resource attributes:
     -> service.name: Str(shop-order)
     -> service.namespace: Str(mine)
ScopeSpans #0
ScopeSpans SchemaURL: 
InstrumentationScope storefront 0.1.0
Span #0
    Trace ID       : 0af7651916cd43dd8448eb211c80319c
    Parent ID      : 
    ID             : b7ad6b7169203331
    Name           : GET /x
    Kind           : Server
Attributes:
     -> url.path: Str(/x)
     -> http.response.status_code: Int(200)
Span #1
    Trace ID       : 0af7651916cd43dd8448eb211c80319c
    Parent ID      : b7ad6b7169203331
    ID             : b7ad6b7169203332
    Name           : GET
\t{\"otelcol.component.id\": \"debug\"}
";

    #[test]
    fn spans_are_read_with_their_process_and_others_are_left_out() {
        let spans = read(LOG, "mine");
        assert_eq!(spans.len(), 2);
        assert_eq!(
            (spans[0].service.as_str(), spans[0].parent.as_str()),
            ("shop-order", "")
        );
        assert_eq!(spans[0].attributes["url.path"], "/x");
        assert_eq!(spans[0].attributes["http.response.status_code"], "200");
        assert_eq!(spans[1].parent, spans[0].id);
        assert!(read(LOG, "other").is_empty());
    }
}
