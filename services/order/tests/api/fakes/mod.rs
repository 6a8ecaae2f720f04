//! Fakes of user, product and payment on a real socket. They keep the contract (`contract.rs` proves it with the cases that the
//! providers run too), remember what they hold, and fail on request.

mod contract;
mod payment;
mod product;
mod user;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::Tasks;
use contracts::Problem;
use serde::Serialize;
use tokio::sync::Notify;

pub use payment::Payments;
pub use product::{HoldState, Product};

pub const TOKEN: &str = "internal-token-of-the-tests";

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 500, and nothing happened.
    Refuse,
    /// It happened, but the answer is 500.
    DoneThen500,
    /// It happened, but the connection breaks within the answer.
    DoneThenCut,
    /// It happened, and is never answered.
    DoneThenSilent,
    /// Nothing happened, and it is never answered.
    Silent,
}

/// The state of all three services.
#[derive(Debug, Default)]
pub struct World {
    pub product: Product,
    pub payment: Payments,
    /// No account is known to user.
    pub no_users: bool,
    /// Faults of the next calls by name; without any, calls succeed.
    faults: BTreeMap<&'static str, VecDeque<Fault>>,
}

#[derive(Clone)]
pub struct Fakes {
    world: Arc<Mutex<World>>,
    /// Notified when a call happened that will never be answered.
    pub swallowed: Arc<Notify>,
    pub url: String,
    router: Router,
    _tasks: Tasks,
}

/// What a fake answers: a status and a body, or none.
struct Answer {
    status: StatusCode,
    body: Option<Vec<u8>>,
}

impl Answer {
    fn ok(body: &impl Serialize) -> Self {
        Self {
            status: StatusCode::OK,
            body: Some(serde_json::to_vec(body).unwrap()),
        }
    }

    fn empty(status: StatusCode) -> Self {
        Self { status, body: None }
    }

    fn problem(problem: &impl Problem) -> Self {
        Self {
            status: StatusCode::from_u16(problem.status()).unwrap(),
            body: Some(serde_json::to_vec(problem).unwrap()),
        }
    }
}

impl Fakes {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tasks = Tasks::new();
        let mut fakes = Self {
            world: Arc::default(),
            swallowed: Arc::default(),
            url,
            router: Router::new(),
            _tasks: tasks.clone(),
        };
        fakes.router = user::routes()
            .merge(product::routes())
            .merge(payment::routes())
            .with_state(fakes.clone());
        let router = fakes.router.clone();
        tasks.spawn("fakes", async move {
            axum::serve(listener, router).await.unwrap();
        });
        fakes
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub fn fail(&self, call: &'static str, faults: &[Fault]) {
        self.world().faults.entry(call).or_default().extend(faults);
    }

    async fn serve(
        &self,
        call: &'static str,
        headers: &HeaderMap,
        work: impl FnOnce(&mut World) -> Answer,
    ) -> Response {
        assert_eq!(headers[AUTHORIZATION], format!("Bearer {TOKEN}"));
        let (fault, answer) = {
            let mut world = self.world();
            let fault = world.faults.get_mut(call).and_then(VecDeque::pop_front);
            let happens = !matches!(fault, Some(Fault::Refuse | Fault::Silent));
            (fault, happens.then(|| work(&mut world)))
        };
        match (fault, answer) {
            (Some(Fault::DoneThenCut), _) => {
                let cut = futures::stream::once(async {
                    Err::<Vec<u8>, _>(std::io::Error::other("cut"))
                });
                Body::from_stream(cut).into_response()
            }
            (Some(Fault::DoneThenSilent | Fault::Silent), _) => {
                self.swallowed.notify_one();
                std::future::pending().await
            }
            (None, Some(Answer { status, body })) => match body {
                Some(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
                None => status.into_response(),
            },
            _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}
