//! Refusals as problems.

use chassis::Problem;
use http::StatusCode;
use service::StoreError;

/// A product that could not be written: 409 where its SKU is taken.
pub(super) fn not_written(error: StoreError) -> Problem {
    if error.constraint() == Some("products_sku_key") {
        let title = "There is a product with this SKU";
        return Problem::new(StatusCode::CONFLICT, "sku_taken", title).field("sku", "is taken");
    }
    error.into()
}

/// A problem of a contract, with its typed members.
pub(super) fn problem(problem: &impl contracts::Problem, title: &'static str) -> Problem {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::CONFLICT);
    Problem::new(status, problem.code(), title).extend(problem)
}
