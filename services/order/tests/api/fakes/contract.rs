//! The fakes against the contract: what holds here holds for product and payment, whose tests run the same cases.

use axum::http::Method;
use contracts::cases::{self, Answer, Request};
use vocabulary::{Clock as _, ProductId, SystemClock, SystemEntropy};

use super::{Fakes, TOKEN};

impl Fakes {
    async fn send(&self, request: Request) -> Answer {
        let method = Method::from_bytes(request.method.as_bytes()).unwrap();
        let mut call = testkit::request(method, &request.path).bearer(TOKEN);
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

impl cases::reservations::Product for Fakes {
    async fn product(&self, units: u32) -> ProductId {
        let id = ProductId::mint(SystemClock.now(), &SystemEntropy);
        self.world().product.stock.insert(id, units.into());
        id
    }

    async fn expire_holds(&self) {
        self.world().product.expire_holds();
    }

    async fn call(&self, request: Request) -> Answer {
        self.send(request).await
    }
}

impl cases::payments::Payments for Fakes {
    async fn call(&self, request: Request) -> Answer {
        self.send(request).await
    }
}

#[tokio::test]
async fn the_fake_of_product_keeps_the_contract() {
    cases::reservations::run(&Fakes::start().await).await;
}

#[tokio::test]
async fn the_fake_of_payment_keeps_the_contract() {
    cases::payments::run(&Fakes::start().await).await;
}
