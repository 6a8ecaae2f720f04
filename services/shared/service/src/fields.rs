//! Invalid fields, as domain code reports them and clients see them.

use chassis::Problem;
use vocabulary::FieldError;

/// 422 that names every invalid field.
pub fn invalid(errors: impl IntoIterator<Item = FieldError>) -> Problem {
    errors
        .into_iter()
        .fold(Problem::invalid(), |problem, error| {
            problem.field(error.field, error.message)
        })
}
