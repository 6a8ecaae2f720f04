//! Responses of the gateway itself where it refuses a request.

use chassis::Problem;
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode};

/// The request could be understood in more than one way, so nothing after it on the connection is trusted.
pub fn malformed(title: &'static str) -> Problem {
    let problem = Problem::new(StatusCode::BAD_REQUEST, "malformed_request", title);
    closing(problem)
}

pub fn no_route() -> Problem {
    let title = "No route matches this request";
    Problem::new(StatusCode::NOT_FOUND, "not_found", title)
}

pub fn body_too_large() -> Problem {
    let title = "The request body is too large";
    let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", title);
    closing(problem)
}

pub fn head_too_large() -> Problem {
    Problem::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "head_too_large",
        "The request head has too many bytes, or more than 100 header fields",
    )
}

/// The client did not send all of its request in time.
pub fn request_too_late() -> Problem {
    let title = "The request did not arrive in time";
    closing(Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "request_timeout",
        title,
    ))
}

/// The route cannot be served as it is written.
pub fn broken_route(title: &'static str) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broken_route", title)
}

/// Closes the connection after the response.
pub fn closing(problem: Problem) -> Problem {
    problem.header(CONNECTION, HeaderValue::from_static("close"))
}
