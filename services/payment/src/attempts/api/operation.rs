//! What capture, void and refund have in common.

use axum::http::StatusCode;
use chassis::{Json, Problem};
use contracts::payments::{Operation, Payment};

use super::view;
use crate::attempts::execute::OperateError;
use crate::attempts::operate::Done;

/// Operations that follow from others have a `/` in their ids; nobody else's has.
pub(super) fn check(operation: &Operation) -> Result<(), Problem> {
    let id = &operation.operation_id;
    let legal = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'/';
    if (1..=128).contains(&id.len()) && id.bytes().all(legal) {
        Ok(())
    } else {
        Err(Problem::invalid().field(
            "operation_id",
            "1 to 128 printable ASCII characters without /",
        ))
    }
}

/// 200 if the provider has decided, 202 if it has not.
pub(super) fn reply(done: Option<Done>) -> Result<(StatusCode, Json<Payment>), Problem> {
    let done = done.ok_or(OperateError::Cancelled)?;
    let status = if done.open {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(view::payment(&done.attempt))))
}
