use serde::{Deserialize, Serialize};

/// What the customer has to do before the payment is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NextAction {
    /// Visit a page of the payment provider.
    Redirect { url: String },
}
