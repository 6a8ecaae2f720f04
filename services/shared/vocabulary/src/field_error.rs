//! An invalid field of a request.

use std::borrow::Cow;

/// One field that domain code refused; clients see it in a 422 answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, such as `items[0].quantity`.
    pub field: Cow<'static, str>,
    /// What it must be: reads as the rest of a sentence that begins with the field.
    pub message: Cow<'static, str>,
}

impl FieldError {
    /// An invalid field and what it must be.
    pub fn new(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}
