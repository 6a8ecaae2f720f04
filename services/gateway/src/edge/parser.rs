//! What is refused before it is a request. hyper's parser answers by itself, without a body, and without calling
//! [`super::handle`]: the stream of the connection recognises that answer and writes this one in its place. The stream
//! also refuses heads that do not arrive in time.

use std::rc::Rc;

use chassis::Problem;
use http::{Method, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::connection::Connection;
use super::conversation::Refused;
use super::exchange::Exchange;
use super::headers::REQUEST_ID;
use super::refusal::{closing, head_too_large, malformed, request_too_late};

/// What replaces the parser's own answer, if `written` is one: the whole response, and the record of it.
pub fn replacement(written: &[u8], request_id: String) -> Option<(Vec<u8>, Refused)> {
    let digits = written.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let problem = match digits {
        b"400" => malformed("The request is not valid HTTP/1.1"),
        b"414" => {
            let title = "The request target is too long";
            closing(Problem::new(
                StatusCode::URI_TOO_LONG,
                "uri_too_long",
                title,
            ))
        }
        b"431" => closing(head_too_large()),
        _ => return None,
    };
    let date = date(written).unwrap_or_default().to_vec();
    Some(render(problem, &date, request_id))
}

/// The response to a head that did not arrive in time.
pub fn head_too_late(now: Timestamp, request_id: String) -> (Vec<u8>, Refused) {
    let date = DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&now)
        .unwrap_or_default();
    render(request_too_late(), date.as_bytes(), request_id)
}

fn render(problem: Problem, date: &[u8], request_id: String) -> (Vec<u8>, Refused) {
    let response = problem.render(Some(&request_id));
    let (parts, body) = response.into_parts();
    let mut bytes = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        line(&mut bytes, name.as_str(), value.as_bytes());
    }
    line(&mut bytes, REQUEST_ID.as_str(), request_id.as_bytes());
    if !parts.headers.contains_key(http::header::CONTENT_LENGTH) {
        let length = body.len().to_string();
        line(&mut bytes, "content-length", length.as_bytes());
    }
    if !date.is_empty() {
        line(&mut bytes, "date", date);
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    let refused = Refused {
        status: parts.status,
        request_id,
        bytes_out: body.len() as u64,
    };
    (bytes, refused)
}

fn line(into: &mut Vec<u8>, name: &str, value: &[u8]) {
    into.extend_from_slice(name.as_bytes());
    into.extend_from_slice(b": ");
    into.extend_from_slice(value);
    into.extend_from_slice(b"\r\n");
}

/// The date that hyper wrote.
fn date(written: &[u8]) -> Option<&[u8]> {
    written
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"date: "))
        .map(<[u8]>::trim_ascii)
}

/// Records what a connection refused before it was a request, once the connection has ended.
pub fn record(connection: &Rc<Connection>) {
    let Some(refused) = connection.conversation.refused() else {
        return;
    };
    // Nothing of the request was understood, its method included.
    let method = Method::from_bytes(b"_OTHER").unwrap_or_default();
    let id = refused.request_id.clone();
    let mut exchange = Exchange::new(connection.clone(), method, connection.peer, id);
    exchange.responded(refused.status);
    exchange.sent(refused.bytes_out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_of_the_parser_are_replaced() {
        let written =
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let (bytes, refused) = replacement(written, "id-1".to_owned()).expect("an answer");
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
        for line in ["x-request-id: id-1", "connection: close", "date: now"] {
            assert!(head.lines().any(|it| it == line), "{line}: {head}");
        }
        assert_eq!(refused.bytes_out, body.len() as u64);
        let now = Timestamp::from_second(1_700_000_000).expect("an instant");
        let (bytes, refused) = head_too_late(now, "id-2".to_owned());
        let text = String::from_utf8(bytes).expect("text");
        assert!(
            text.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{text}"
        );
        assert!(
            text.contains("\r\ndate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"),
            "{text}"
        );
        assert_eq!(refused.status, 408);
        for other in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"\0\0\x06\x04", b""] {
            assert!(replacement(other, String::new()).is_none());
        }
    }
}
