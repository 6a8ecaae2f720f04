//! A payment provider: a real HTTP server with faults, which charges each key that it has not seen.

mod books;
mod notify;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use tokio::net::TcpListener;
use vocabulary::Clock;

pub use books::{Account, ProviderRequest, Status};
pub use notify::{ProviderNotification, read_notification};

use books::Books;
use notify::Delivery;

/// What the provider does with a request that it has not seen. One that it has seen is answered with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Acts and answers.
    Answers,
    /// Refuses, for this reason.
    Declines(&'static str),
    /// Accepts, and decides when told.
    Pends,
    /// Sends the payer to a page; decides when told.
    AsksPayer,
    /// Acts, and never answers.
    ActsThenHangs,
    /// Acts, and answers 500.
    ActsThenFails,
    /// Answers 500 and does nothing.
    Fails,
    /// Acts after a while, whether the caller still waits or not.
    Slow(Duration),
    /// Acts, sends its notification, and answers after that.
    NotifiesFirst,
}

#[derive(Default)]
struct Inner {
    books: Books,
    script: BTreeMap<String, VecDeque<Behaviour>>,
    notify_to: Option<String>,
}

/// A provider that listens on 127.0.0.1 until its test ends. Clones are the same provider.
#[derive(Clone)]
pub struct PaymentProvider {
    address: SocketAddr,
    tasks: chassis::Tasks,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    inner: Arc<Mutex<Inner>>,
}

impl PaymentProvider {
    /// Listens on a port that is free; notifications carry the time of this clock.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = listener.await.expect("a socket");
        let provider = Self {
            address: listener.local_addr().expect("an address"),
            tasks: chassis::Tasks::new(),
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(10))
                .build()
                .expect("a client"),
            clock,
            inner: Arc::default(),
        };
        let router = Router::new()
            .route("/operations", post(operate))
            .route("/operations/look-up", post(look_up))
            .with_state(provider.clone());
        let serving = async move { axum::serve(listener, router).await };
        provider.tasks.spawn("payment provider", serving);
        provider
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests of a kind are treated like this, one each; then it acts and answers.
    pub fn script(&self, kind: &str, behaviours: impl IntoIterator<Item = Behaviour>) {
        let mut inner = self.lock();
        let script = inner.script.entry(kind.to_owned()).or_default();
        script.extend(behaviours);
    }

    /// Forgets what is scripted.
    pub fn behave(&self) {
        self.lock().script.clear();
    }

    /// Sends notifications to this URL from now on.
    pub fn notify_to(&self, url: &str) {
        self.lock().notify_to = Some(url.to_owned());
    }

    /// Decides an operation that pends or that waits for the payer, and sends its notification. False if it does not wait.
    pub async fn complete(&self, key: &str) -> bool {
        let decided = self.lock().books.decide(key, &Status::Done);
        if decided {
            self.notify(key).await;
        }
        decided
    }

    /// Refuses an operation that pends or that waits for the payer, and sends its notification.
    pub async fn decline(&self, key: &str, reason: &str) -> bool {
        let declined = Status::Declined(reason.to_owned());
        let decided = self.lock().books.decide(key, &declined);
        if decided {
            self.notify(key).await;
        }
        decided
    }

    /// Sends the notification of an operation as it stands; again, if it was sent before. The status of the answer.
    pub async fn notify(&self, key: &str) -> Option<StatusCode> {
        let (url, status) = {
            let inner = self.lock();
            (inner.notify_to.clone()?, inner.books.status(key)?)
        };
        let delivery = Delivery {
            client: &self.client,
            url: &url,
            key,
            status: &status,
            now: self.clock.now(),
        };
        delivery.send().await
    }

    /// What became of an operation, if it was ever received.
    pub fn status(&self, key: &str) -> Option<Status> {
        self.lock().books.status(key)
    }

    /// The provider's account of a payment.
    pub fn account(&self, payment: &str) -> Account {
        self.lock().books.account(payment)
    }

    /// The keys of operations that are not decided.
    pub fn waiting(&self) -> Vec<String> {
        self.lock().books.waiting()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("the provider's books")
    }

    /// What to do with a request: nothing new if it was seen.
    fn plan(&self, request: &ProviderRequest) -> Behaviour {
        let mut inner = self.lock();
        if inner.books.status(&request.key).is_some() {
            return Behaviour::Answers;
        }
        let script = inner.script.get_mut(&request.kind);
        let next = script.and_then(VecDeque::pop_front);
        next.unwrap_or(Behaviour::Answers)
    }

    /// Does what was not asked over HTTP: for a provider whose books differ from its customer's.
    pub fn receive(&self, request: &ProviderRequest) {
        self.act(request);
    }

    fn act(&self, request: &ProviderRequest) -> Status {
        self.lock().books.act(request, Status::Done)
    }
}

/// Answers as JSON: the status, with its facts.
type Answer = Result<Json<Status>, StatusCode>;

async fn operate(
    State(provider): State<PaymentProvider>,
    Json(request): Json<ProviderRequest>,
) -> Answer {
    let record = |status| provider.lock().books.act(&request, status);
    match provider.plan(&request) {
        Behaviour::Answers => Ok(Json(provider.act(&request))),
        Behaviour::Declines(reason) => Ok(Json(record(Status::Declined(reason.to_owned())))),
        Behaviour::Pends => Ok(Json(record(Status::Pending))),
        Behaviour::AsksPayer => {
            let url = format!("{}/pay/{}", provider.url(), request.payment);
            Ok(Json(record(Status::RequiresAction(url))))
        }
        Behaviour::ActsThenHangs => {
            provider.act(&request);
            std::future::pending().await
        }
        Behaviour::ActsThenFails => {
            provider.act(&request);
            Err(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Behaviour::Fails => Err(StatusCode::INTERNAL_SERVER_ERROR),
        Behaviour::Slow(time) => {
            let slow = provider.clone();
            let work = async move {
                tokio::time::sleep(time).await;
                slow.act(&request)
            };
            // A task of its own: a caller that hangs up does not stop it.
            let acted = provider.tasks.spawn("slow operation", work).await;
            acted
                .map(Json)
                .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
        }
        Behaviour::NotifiesFirst => {
            let status = provider.act(&request);
            provider.notify(&request.key).await;
            Ok(Json(status))
        }
    }
}

#[derive(Deserialize)]
struct LookUp {
    key: String,
}

async fn look_up(State(provider): State<PaymentProvider>, Json(asked): Json<LookUp>) -> Answer {
    let status = provider.status(&asked.key);
    status.map(Json).ok_or(StatusCode::NOT_FOUND)
}
