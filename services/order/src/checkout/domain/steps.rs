//! What a checkout does at other services, and what undoes it.

/// A call that changes something at another service, or undoes it. Idempotent by an id that the checkout created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Look up the customer's email address and reserve the stock.
    Reserve,
    /// Authorise the payment.
    Authorise,
    /// Sell the reserved stock to the order.
    Claim,
    Undo(Undo),
}

/// A call that undoes what may have been done, even if it arrives first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// Void the payment.
    Void,
    /// Release the stock; what is claimed is restocked.
    Release,
}

/// The saga: each step forward with what undoes it. A refusal walks the table backwards from the step that was refused,
/// that step included, because an earlier attempt at it may still be on its way.
pub const STEPS: [(Effect, Undo); 3] = [
    (Effect::Reserve, Undo::Release),
    (Effect::Authorise, Undo::Void),
    (Effect::Claim, Undo::Release),
];

impl Effect {
    /// The name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Authorise => "authorise",
            Self::Claim => "claim",
            Self::Undo(Undo::Void) => "void",
            Self::Undo(Undo::Release) => "release",
        }
    }

    /// The undos of this step and all before it, last step first. An undo of two steps runs once, for the earlier step.
    pub(super) fn undos(self) -> Vec<Undo> {
        let mut undos = Vec::new();
        for (effect, undo) in STEPS {
            if !undos.contains(&undo) {
                undos.push(undo);
            }
            if effect == self {
                break;
            }
        }
        undos.reverse();
        undos
    }
}

impl Undo {
    /// The undo of the steps before the one that this undoes.
    pub(super) fn then(self) -> Option<Self> {
        let all = Effect::Claim.undos();
        let mut rest = all.into_iter().skip_while(|undo| *undo != self);
        rest.nth(1)
    }
}
