//! Checks who may call an API.

use axum::Router;
use http::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;
use vocabulary::Permission;

use super::document::{Document, Operation};
use crate::http::{Call, request};
use crate::tokens::TestTokens;

/// The operations of an API, and what each needs: nothing, a token, or a permission. The document says
/// it: `security(("bearer" = ["catalogue.manage"]))`.
pub struct AccessTable {
    document: Document,
    open: Vec<&'static str>,
    internal: Vec<(Method, &'static str)>,
}

impl AccessTable {
    /// The table of a document.
    pub fn new(document: &str) -> Self {
        Self {
            document: Document::parse(document),
            open: Vec::new(),
            internal: Vec::new(),
        }
    }

    /// The operations that need no token, by `operationId`. All others must need one.
    #[must_use]
    pub fn open(mut self, operations: &[&'static str]) -> Self {
        self.open.extend(operations);
        self
    }

    /// A route for other services only, with its path as a request has it.
    #[must_use]
    pub fn internal(mut self, method: Method, path: &'static str) -> Self {
        self.internal.push((method, path));
        self
    }

    /// Sends each request without a token, with a forged one, and with a customer's where that is not
    /// enough; fails unless each is refused. No body is valid: who may call is decided before it is read.
    pub async fn check(self, router: &Router, tokens: &TestTokens) {
        let customer = tokens.customer(Uuid::from_u128(0xc));
        let forged = TestTokens::default().admin(Uuid::from_u128(0xf));
        let mut seen_open = Vec::new();
        for operation in self.document.operations() {
            let what = format!("{} {}", operation.method, operation.path);
            let Some(permissions) = operation.permissions() else {
                seen_open.push(operation.id().to_owned());
                continue;
            };
            for name in &permissions {
                let known = Permission::ALL.iter().any(|p| p.as_str() == *name);
                assert!(known, "{what} needs {name}, which is no permission");
            }
            refused(call(&operation), router, StatusCode::UNAUTHORIZED, &what).await;
            let by_forger = call(&operation).bearer(&forged);
            refused(by_forger, router, StatusCode::UNAUTHORIZED, &what).await;
            if !permissions.is_empty() {
                let by_customer = call(&operation).bearer(&customer);
                refused(by_customer, router, StatusCode::FORBIDDEN, &what).await;
            }
        }
        let mut open = self.open.clone();
        open.sort_unstable();
        seen_open.sort_unstable();
        assert_eq!(
            seen_open, open,
            "the operations without `security(..)` in the document are not those named by `.open(..)`"
        );
        for (method, path) in self.internal {
            let admin = tokens.admin(Uuid::from_u128(0xa));
            let internal = || request(method.clone(), path).json(&json!({}));
            let unauthorized = StatusCode::UNAUTHORIZED;
            refused(internal(), router, unauthorized, path).await;
            for token in [&customer, &admin, &forged] {
                refused(internal().bearer(token), router, unauthorized, path).await;
            }
        }
    }
}

/// A request with a body that no operation accepts, if it has one.
fn call(operation: &Operation<'_>) -> Call {
    let method = operation.method.to_ascii_uppercase();
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let call = request(method, &path(operation.path));
    match operation.value.get("requestBody") {
        Some(_) => call.body("application/json", "{"),
        None => call,
    }
}

/// The path with an id that nothing has in place of each variable.
fn path(template: &str) -> String {
    let mut segments: Vec<String> = Vec::new();
    for segment in template.split('/') {
        let is_variable = segment.starts_with('{');
        segments.push(if is_variable {
            Uuid::from_u128(0xdead).to_string()
        } else {
            segment.to_owned()
        });
    }
    segments.join("/")
}

async fn refused(call: Call, router: &Router, status: StatusCode, what: &str) {
    let answer = call.send(router).await;
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
}
