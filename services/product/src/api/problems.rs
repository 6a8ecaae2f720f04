//! Refusals and failures as problems.

use chassis::Problem;
use http::StatusCode;

use crate::domain::listing::FieldError;
use crate::store::StoreError;

/// 422 with every field that is not valid.
pub(super) fn refused(faults: Vec<FieldError>) -> Problem {
    faults
        .into_iter()
        .fold(Problem::invalid(), |problem, fault| {
            problem.field(fault.field, fault.message)
        })
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.constraint() == Some("products_sku_key") {
            let title = "There is a product with this SKU";
            return Self::new(StatusCode::CONFLICT, "sku_taken", title).field("sku", "is taken");
        }
        if matches!(error, StoreError::Contended(_)) {
            return Self::unavailable(1);
        }
        Self::internal(&error)
    }
}

/// A problem of a contract, with its typed members.
pub(super) fn problem(problem: &impl contracts::Problem, title: &'static str) -> Problem {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::CONFLICT);
    Problem::new(status, problem.code(), title).extend(problem)
}

/// What a failed commit is to the client. It may have happened: the client asks again, and learns.
pub(super) fn uncommitted(error: &sqlx::Error) -> Problem {
    Problem::internal(error)
}
