//! User, product and payment as small honest servers that keep the contract, remember what they hold, and fail when told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use chassis::Tasks;
use serde_json::{Value, json};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::support::TOKEN;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 500, nothing done.
    Refuse,
    /// Done, but the answer is 500.
    DoneThen500,
    /// Done, but the connection breaks within the answer.
    DoneThenCut,
    /// Done, and never answered.
    DoneThenSilent,
    /// Nothing done, and never answered.
    Silent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub items: Vec<(Uuid, i64)>,
    pub state: &'static str,
    pub order: Option<Uuid>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    pub order: Option<Uuid>,
    pub minor: i64,
    pub state: &'static str,
}

/// What the peers know.
#[derive(Debug, Default)]
pub struct World {
    pub stock: BTreeMap<Uuid, i64>,
    pub holds: BTreeMap<Uuid, Hold>,
    pub promises: BTreeMap<Uuid, Promise>,
    /// Calls that arrived, in order.
    pub calls: Vec<&'static str>,
    /// Faults of the next calls of a name; an empty queue is good luck.
    pub faults: BTreeMap<&'static str, VecDeque<Fault>>,
    /// Holds run out before they are claimed.
    pub holds_expire: bool,
    /// Nobody is known to user.
    pub forgotten: bool,
}

#[derive(Clone)]
pub struct Peers {
    pub world: Arc<Mutex<World>>,
    /// Notified when a call was done that will never be answered.
    pub swallowed: Arc<Notify>,
    pub url: String,
    _tasks: Tasks,
}

impl Peers {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tasks = Tasks::new();
        let peers = Self {
            world: Arc::default(),
            swallowed: Arc::default(),
            url,
            _tasks: tasks.clone(),
        };
        let router = peers.router();
        tasks.spawn("peers", async move {
            axum::serve(listener, router).await.unwrap();
        });
        peers
    }

    fn router(&self) -> Router {
        let hold = "/internal/v1/reservations/{id}";
        let promise = "/internal/v1/payments/{id}";
        Router::new()
            .route("/internal/v1/users/{id}", get(email))
            .route(hold, put(reserve))
            .route(&format!("{hold}/claim"), post(claim))
            .route(&format!("{hold}/release"), post(release))
            .route(promise, put(authorise))
            .route(&format!("{promise}/void"), post(void))
            .with_state(self.clone())
    }

    pub fn fail(&self, call: &'static str, faults: &[Fault]) {
        let mut world = self.world.lock().unwrap();
        world.faults.entry(call).or_default().extend(faults);
    }

    pub fn stock(&self, product: Uuid, pieces: i64) {
        self.world.lock().unwrap().stock.insert(product, pieces);
    }

    async fn serve(
        &self,
        call: &'static str,
        headers: &HeaderMap,
        work: impl FnOnce(&mut World) -> (StatusCode, Value),
    ) -> Response {
        assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
        let (fault, answer) = {
            let mut world = self.world.lock().unwrap();
            world.calls.push(call);
            let fault = world.faults.get_mut(call).and_then(VecDeque::pop_front);
            let answer = match fault {
                Some(Fault::Refuse | Fault::Silent) => None,
                _ => Some(work(&mut world)),
            };
            (fault, answer)
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
            (None, Some((status, Value::Null))) => status.into_response(),
            (None, Some((status, body))) => (status, Json(body)).into_response(),
            _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

fn problem(status: StatusCode, code: &str, errors: &Value) -> (StatusCode, Value) {
    (
        status,
        json!({"code": code, "status": status.as_u16(), "errors": errors}),
    )
}

async fn email(State(peers): State<Peers>, Path(id): Path<Uuid>, headers: HeaderMap) -> Response {
    let answer = move |world: &mut World| {
        if world.forgotten {
            return problem(StatusCode::NOT_FOUND, "not_found", &json!([]));
        }
        let account = json!({"id": id, "email": "ann@example.com", "username": "ann", "first_name": "", "last_name": ""});
        (StatusCode::OK, account)
    };
    peers.serve("email", &headers, answer).await
}

fn shown(id: Uuid, hold: &Hold) -> Value {
    let lines: Vec<Value> = hold
        .items
        .iter()
        .map(|(product, quantity)| {
            json!({
                "product_id": product, "sku": "MUG", "title": "Mug", "quantity": quantity,
                "unit_price": {"minor": 250, "currency": "EUR"},
                "line_total": {"minor": 250 * quantity, "currency": "EUR"},
            })
        })
        .collect();
    let total: i64 = hold.items.iter().map(|(_, quantity)| 250 * quantity).sum();
    json!({
        "id": id, "status": "held", "expires_at": "2026-01-31T12:15:00Z", "lines": lines,
        "total": {"minor": total, "currency": "EUR"},
    })
}

async fn reserve(
    State(peers): State<Peers>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let items: Vec<(Uuid, i64)> = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let product = item["product_id"].as_str().unwrap().parse().unwrap();
            (product, item["quantity"].as_i64().unwrap())
        })
        .collect();
    let work = move |world: &mut World| {
        if let Some(hold) = world.holds.get(&id) {
            return match hold.state {
                "held" | "claimed" => (StatusCode::OK, shown(id, hold)),
                _ => problem(StatusCode::CONFLICT, "reservation_expired", &json!([])),
            };
        }
        for (at, (product, quantity)) in items.iter().enumerate() {
            let field = format!("items[{at}]");
            let Some(available) = world.stock.get(product) else {
                let errors = json!([{"field": field, "message": "there is no such product"}]);
                return problem(StatusCode::UNPROCESSABLE_ENTITY, "item_refused", &errors);
            };
            if available < quantity {
                let errors = json!([{
                    "field": field, "message": format!("available: {available}"),
                }]);
                return problem(StatusCode::CONFLICT, "out_of_stock", &errors);
            }
        }
        for (product, quantity) in &items {
            *world.stock.get_mut(product).unwrap() -= quantity;
        }
        let hold = Hold {
            items,
            state: "held",
            order: None,
        };
        let answer = shown(id, &hold);
        world.holds.insert(id, hold);
        (StatusCode::OK, answer)
    };
    peers.serve("reserve", &headers, work).await
}

async fn claim(
    State(peers): State<Peers>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let order: Uuid = body["order_id"].as_str().unwrap().parse().unwrap();
    let work = move |world: &mut World| {
        let expire = world.holds_expire;
        let Some(hold) = world.holds.get_mut(&id) else {
            return problem(StatusCode::NOT_FOUND, "not_found", &json!([]));
        };
        if expire && hold.state == "held" {
            hold.state = "expired";
            let items = hold.items.clone();
            for (product, quantity) in items {
                *world.stock.get_mut(&product).unwrap() += quantity;
            }
            return problem(StatusCode::CONFLICT, "reservation_expired", &json!([]));
        }
        match (hold.state, hold.order) {
            ("held", None) => {
                hold.state = "claimed";
                hold.order = Some(order);
                (StatusCode::OK, json!({}))
            }
            ("claimed", Some(known)) if known == order => (StatusCode::OK, json!({})),
            _ => problem(StatusCode::CONFLICT, "reservation_expired", &json!([])),
        }
    };
    peers.serve("claim", &headers, work).await
}

async fn release(State(peers): State<Peers>, Path(id): Path<Uuid>, headers: HeaderMap) -> Response {
    let work = move |world: &mut World| {
        let tombstone = Hold {
            items: vec![],
            state: "released",
            order: None,
        };
        let hold = world.holds.entry(id).or_insert(tombstone);
        if hold.state == "held" {
            hold.state = "released";
            let items = hold.items.clone();
            for (product, quantity) in items {
                *world.stock.get_mut(&product).unwrap() += quantity;
            }
        }
        (StatusCode::NO_CONTENT, Value::Null)
    };
    peers.serve("release", &headers, work).await
}

async fn authorise(
    State(peers): State<Peers>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let work = move |world: &mut World| {
        let asked = Promise {
            order: body["order_id"].as_str().map(|id| id.parse().unwrap()),
            minor: body["amount"]["minor"].as_i64().unwrap(),
            state: match body["method"].as_str() {
                Some("manual") => "authorised",
                Some("manual-decline") => "declined",
                _ => {
                    let errors = json!([{"field": "method", "message": "unknown"}]);
                    return problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid", &errors);
                }
            },
        };
        let known = world.promises.entry(id).or_insert(asked.clone());
        if known.state == "cancelled" {
            return problem(StatusCode::CONFLICT, "payment_cancelled", &json!([]));
        }
        assert_eq!((known.order, known.minor), (asked.order, asked.minor));
        (StatusCode::OK, json!({"id": id, "status": known.state}))
    };
    peers.serve("authorise", &headers, work).await
}

async fn void(
    State(peers): State<Peers>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(_): Json<Value>,
) -> Response {
    let work = move |world: &mut World| {
        let tombstone = Promise {
            order: None,
            minor: 0,
            state: "cancelled",
        };
        let promise = world.promises.entry(id).or_insert(tombstone);
        if promise.state == "authorised" {
            promise.state = "voided";
        }
        (StatusCode::NO_CONTENT, Value::Null)
    };
    peers.serve("void", &headers, work).await
}
