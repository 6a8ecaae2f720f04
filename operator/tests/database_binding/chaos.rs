//! Stands between the operator and everything outside it: records each call, cuts it off, breaks it.
//!
//! A call is one request to the API server (a tower layer below the client), one session opened on
//! a database server, or one statement in it. The operator runs the same code with and without.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use kube::client::Body;
use operator::kinds::database_binding::{Endpoint, Rows, ServerError, Servers, Session};
use operator_plan::database_binding::Statement;
use tokio::sync::Notify;
use tower::{Layer, Service};

use super::api::{Api, refusal, respond};

/// When a call is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Its effect never happens.
    Before,
    /// It was sent, and goes on without anybody: its effect happens while a new operator works.
    During,
    /// Its effect happened, its answer is lost.
    After,
}

/// What is done to the calls.
#[derive(Clone, Copy, Debug)]
pub enum Plan {
    /// Nothing.
    Peace,
    /// The operator dies at this call.
    Kill(usize, Moment),
    /// Some calls fail, by a seeded generator; so many in a thousand.
    Faults { seed: u64, permille: u64 },
}

/// The recorder, shared by every layer.
pub struct Chaos {
    state: Mutex<State>,
    died: Notify,
}

struct State {
    calls: Vec<String>,
    changes: usize,
    plan: Plan,
}

/// How a call is to fail.
#[derive(Clone, Copy)]
enum Fault {
    /// Refused, nothing happened.
    Refused,
    /// It happened, and the answer is an error.
    Lost,
}

impl Chaos {
    /// A recorder with a plan.
    pub fn new(plan: Plan) -> Arc<Self> {
        let state = State {
            calls: Vec::new(),
            changes: 0,
            plan,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            died: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no test panics while it holds the recorder")
    }

    /// Labels of all calls so far.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Statements so far that change something on a database server.
    pub fn changes(&self) -> usize {
        self.state().changes
    }

    /// From now on nothing is done to the calls.
    pub fn calm(&self) {
        self.state().plan = Plan::Peace;
    }

    /// Comes true when the operator has died.
    pub async fn died(&self) {
        self.died.notified().await;
    }

    /// Runs a call, or does not, as planned.
    async fn around<T>(
        &self,
        label: String,
        call: impl Future<Output = T>,
        fail: impl FnOnce(u64) -> T,
    ) -> T {
        let (at, plan) = {
            let mut state = self.state();
            state.calls.push(label);
            (state.calls.len() - 1, state.plan)
        };
        match plan {
            Plan::Kill(k, Moment::Before) if k == at => self.die().await,
            Plan::Kill(k, Moment::During) if k == at => {
                // One poll sends it; what is dropped here is only our end of the conversation.
                drop(futures::poll!(std::pin::pin!(call)));
                self.die().await
            }
            Plan::Kill(k, Moment::After) if k == at => {
                call.await;
                self.die().await
            }
            Plan::Faults { seed, permille } => match fault(seed, at, permille) {
                Some((Fault::Refused, random)) => fail(random),
                Some((Fault::Lost, random)) => {
                    call.await;
                    fail(random)
                }
                None => call.await,
            },
            Plan::Peace | Plan::Kill(..) => call.await,
        }
    }

    async fn die<T>(&self) -> T {
        self.calm();
        self.died.notify_one();
        std::future::pending().await
    }
}

/// Whether and how call `at` fails. A pure function of the seed, so that a run can be repeated.
fn fault(seed: u64, at: usize, permille: u64) -> Option<(Fault, u64)> {
    let mut x =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (at as u64).wrapping_mul(0xd134_2543_de82_ef95);
    let mut next = || {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        x = x.wrapping_add(0x1234_5678_9abc_def1);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 20
    };
    next();
    let hit = next() % 1000 < permille;
    let kind = if next() % 2 == 0 {
        Fault::Refused
    } else {
        Fault::Lost
    };
    hit.then(|| (kind, next()))
}

/// The tower layer below the client.
#[derive(Clone)]
pub struct ChaosLayer(pub Arc<Chaos>);

impl Layer<Api> for ChaosLayer {
    type Service = ChaosService;

    fn layer(&self, inner: Api) -> ChaosService {
        ChaosService {
            chaos: Arc::clone(&self.0),
            inner,
        }
    }
}

/// See [`ChaosLayer`].
#[derive(Clone)]
pub struct ChaosService {
    chaos: Arc<Chaos>,
    inner: Api,
}

impl Service<Request<Body>> for ChaosService {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (chaos, api) = (Arc::clone(&self.chaos), self.inner.clone());
        let label = format!("{} {}", request.method(), request.uri().path());
        Box::pin(async move { Ok(chaos.around(label, api.answer(request), api_fault).await) })
    }
}

fn api_fault(random: u64) -> Response<Body> {
    let (status, value) = match random % 3 {
        0 => refusal(StatusCode::CONFLICT, "Conflict", "injected"),
        1 => refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "injected",
        ),
        _ => refusal(StatusCode::GATEWAY_TIMEOUT, "Timeout", "injected"),
    };
    respond(status, &value)
}

/// The wrapper around the way to databases.
pub struct ChaosServers<S> {
    /// The recorder.
    pub chaos: Arc<Chaos>,
    /// The real way.
    pub inner: S,
}

impl<S: Servers> Servers for ChaosServers<S> {
    fn open<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, ServerError>> {
        Box::pin(async move {
            let open = self.inner.open(endpoint);
            let session = self
                .chaos
                .around("SQL open".into(), open, sql_fault)
                .await?;
            let session = ChaosSession {
                chaos: Arc::clone(&self.chaos),
                inner: session,
            };
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }

    fn can_log_in<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        database: &'a str,
    ) -> BoxFuture<'a, Result<bool, ServerError>> {
        Box::pin(async move {
            let call = self.inner.can_log_in(endpoint, database);
            self.chaos
                .around("SQL log in".into(), call, sql_fault)
                .await
        })
    }
}

struct ChaosSession {
    chaos: Arc<Chaos>,
    inner: Box<dyn Session>,
}

impl Session for ChaosSession {
    fn run<'a>(&'a mut self, statement: &'a Statement) -> BoxFuture<'a, Result<Rows, ServerError>> {
        Box::pin(async move {
            if !statement.reads {
                self.chaos.state().changes += 1;
            }
            let label = format!("SQL {}", statement.purpose);
            self.chaos
                .around(label, self.inner.run(statement), sql_fault)
                .await
        })
    }

    fn end(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.inner.end()
    }
}

fn sql_fault<T>(random: u64) -> Result<T, ServerError> {
    Err(match random % 2 {
        0 => ServerError::Refused {
            server: "injected".into(),
            purpose: "test",
            code: "40001".into(),
            message: "injected".into(),
        },
        _ => ServerError::Unreachable {
            server: "injected".into(),
            why: "injected".into(),
        },
    })
}
