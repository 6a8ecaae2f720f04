use serde::{Deserialize, Serialize};

/// A refusal that the provider sends as `application/problem+json` and the consumer decides upon.
pub trait Problem: Serialize {
    /// HTTP status.
    fn status(&self) -> u16;

    /// Member `code`: stable, one per kind of problem.
    fn code(&self) -> &'static str;
}

/// One field of a request that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldProblem {
    /// Path of the field, such as `items[0].quantity`.
    pub field: String,
    /// What is expected of it, for people.
    pub message: String,
}

/// Why a lookup has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum LookupProblem {
    /// No such record.
    NotFound,
}

impl Problem for LookupProblem {
    fn status(&self) -> u16 {
        404
    }

    fn code(&self) -> &'static str {
        "not_found"
    }
}
