//! The provider's own record of what it did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an operation is asked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRequest {
    /// The idempotency key.
    pub key: String,
    /// The payment that it belongs to.
    pub payment: String,
    /// authorise, capture, void or refund.
    pub kind: String,
    /// The amount in minor units.
    pub minor: i64,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", content = "detail", rename_all = "snake_case")]
pub enum Status {
    /// It is done.
    Done,
    /// It is refused, for this reason.
    Declined(String),
    /// It is not decided.
    Pending,
    /// The payer has to visit this page.
    RequiresAction(String),
}

impl Status {
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Declined(_) => "declined",
            Self::Pending => "pending",
            Self::RequiresAction(_) => "requires_action",
        }
    }
}

/// One payment, as the provider knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Minor units held.
    pub held: i64,
    /// Minor units taken, all captures together.
    pub captured: i64,
    /// Minor units returned.
    pub refunded: i64,
    /// Captures that took money: a second one is a customer who was charged twice.
    pub captures: u32,
    /// Authorisations that held money.
    pub authorisations: u32,
}

#[derive(Debug)]
struct Operation {
    request: ProviderRequest,
    status: Status,
}

#[derive(Debug, Default)]
pub struct Books {
    operations: BTreeMap<String, Operation>,
    accounts: BTreeMap<String, Account>,
}

impl Books {
    pub fn status(&self, key: &str) -> Option<Status> {
        self.operations.get(key).map(|op| op.status.clone())
    }

    pub fn account(&self, payment: &str) -> Account {
        self.accounts.get(payment).copied().unwrap_or_default()
    }

    pub fn waiting(&self) -> Vec<String> {
        let waiting = self.operations.iter().filter(|(_, op)| waits(&op.status));
        waiting.map(|(key, _)| key.clone()).collect()
    }

    /// Records a request with its status, once per key; money moves when it is done.
    pub fn act(&mut self, request: &ProviderRequest, status: Status) -> Status {
        if let Some(known) = self.status(&request.key) {
            return known;
        }
        let status = match status {
            Status::Done => self.execute(request),
            Status::Declined(_) | Status::Pending | Status::RequiresAction(_) => status,
        };
        let operation = Operation {
            request: request.clone(),
            status: status.clone(),
        };
        self.operations.insert(request.key.clone(), operation);
        status
    }

    /// Decides an operation that waits. False if it does not.
    pub fn decide(&mut self, key: &str, status: &Status) -> bool {
        let Some(op) = self.operations.get(key).filter(|op| waits(&op.status)) else {
            return false;
        };
        let request = op.request.clone();
        let status = match status {
            Status::Done => self.execute(&request),
            other => other.clone(),
        };
        if let Some(op) = self.operations.get_mut(key) {
            op.status = status;
        }
        true
    }

    /// Moves the money. A new key is a new operation: nothing here protects a caller who asks for the same under two keys.
    fn execute(&mut self, request: &ProviderRequest) -> Status {
        let account = self.accounts.entry(request.payment.clone()).or_default();
        let minor = request.minor;
        let declined = |reason: &str| Status::Declined(reason.to_owned());
        match request.kind.as_str() {
            "authorise" => {
                account.held += minor;
                account.authorisations += 1;
            }
            "capture" => {
                account.captured += minor;
                account.captures += 1;
                account.held = 0;
            }
            "void" if account.captured > 0 => return declined("captured"),
            "void" => {
                account.held = 0;
                self.end_authorisations(&request.payment);
            }
            "refund" if account.captured - account.refunded < minor => {
                return declined("exceeds_capture");
            }
            "refund" => account.refunded += minor,
            other => return declined(&format!("unknown kind {other}")),
        }
        Status::Done
    }

    /// An authorisation that waits is over when it is voided.
    fn end_authorisations(&mut self, payment: &str) {
        for op in self.operations.values_mut() {
            if op.request.payment == payment && op.request.kind == "authorise" && waits(&op.status)
            {
                op.status = Status::Declined("voided".to_owned());
            }
        }
    }
}

fn waits(status: &Status) -> bool {
    match status {
        Status::Pending | Status::RequiresAction(_) => true,
        Status::Done | Status::Declined(_) => false,
    }
}
