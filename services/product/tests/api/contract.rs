//! The cases of the contract against the real router; order's fake of this service runs the same.

use axum::http::Method;
use contracts::cases::reservations::{self, Product};
use contracts::cases::{Answer, Request};
use vocabulary::{Clock as _, ProductId, SystemClock, SystemEntropy};

use crate::support::{INTERNAL, TestApp, start};
use product::sweep::ReservationSweep;

impl Product for TestApp {
    async fn product(&self, units: u32) -> ProductId {
        let unique = ProductId::mint(SystemClock.now(), &SystemEntropy).as_uuid();
        let sku = unique.simple().to_string().to_uppercase();
        ProductId::from_uuid(self.stocked_product(&sku, units.into()).await)
    }

    async fn expire_holds(&self) {
        self.clock.advance(chrono::TimeDelta::hours(1));
        ReservationSweep::new(&self.state).once().await.unwrap();
    }

    async fn call(&self, request: Request) -> Answer {
        let method = Method::from_bytes(request.method.as_bytes()).unwrap();
        let mut call = testkit::request(method, &request.path).bearer(INTERNAL);
        if let Some(body) = &request.body {
            call = call.json(body);
        }
        let answer = call.send(&self.router).await;
        Answer {
            status: answer.status.as_u16(),
            body: answer.body.to_vec(),
        }
    }
}

#[tokio::test]
async fn product_keeps_the_contract() {
    reservations::run(&start().await).await;
}
