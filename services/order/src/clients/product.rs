use contracts::reservations::{
    Claim, ClaimProblem, Reservation, Reserve, ReserveProblem, claim_path, release_path,
    reservation_path,
};
use vocabulary::{OrderId, ReservationId};

use super::call::{Caller, Unavailable};

/// Client of service product.
#[derive(Clone)]
pub(crate) struct Product(pub(super) Caller);

impl Product {
    pub(crate) async fn reserve(
        &self,
        id: ReservationId,
        request: &Reserve,
    ) -> Result<Result<Reservation, ReserveProblem>, Unavailable> {
        self.0.put(&reservation_path(id), request).await?.decide()
    }

    pub(crate) async fn claim(
        &self,
        id: ReservationId,
        order_id: OrderId,
    ) -> Result<Result<(), ClaimProblem>, Unavailable> {
        let claim = Claim { order_id };
        self.0.post(&claim_path(id), Some(&claim)).await?.done_or()
    }

    pub(crate) async fn release(&self, id: ReservationId) -> Result<(), Unavailable> {
        self.0.post(&release_path(id), None::<&()>).await?.done()
    }
}
