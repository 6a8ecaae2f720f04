use contracts::payments::{
    Authorise, AuthoriseProblem, Operation, Payment as State, payment_path, void_path,
};
use vocabulary::PaymentId;

use super::call::{Caller, Unavailable};

/// Client of service payment.
#[derive(Clone)]
pub(crate) struct Payment(pub(super) Caller);

impl Payment {
    pub(crate) async fn authorise(
        &self,
        id: PaymentId,
        request: &Authorise,
    ) -> Result<Result<State, AuthoriseProblem>, Unavailable> {
        self.0.put(&payment_path(id), request).await?.decide()
    }

    pub(crate) async fn void(&self, id: PaymentId) -> Result<(), Unavailable> {
        // A checkout voids its payment once, however often it has to ask.
        let operation = Operation {
            operation_id: "checkout".to_owned(),
            minor: None,
        };
        self.0.post(&void_path(id), Some(&operation)).await?.done()
    }
}
