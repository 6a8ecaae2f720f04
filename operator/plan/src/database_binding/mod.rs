//! `DatabaseBinding`: names, the Secret, SQL as data, and what the status says.
//!
//! Order of effects (the operator's, in `operator/src/kinds/database_binding`): finalizer, intent in the
//! status, Secret with the password, groups, database, what is inside, login role with the Secret's
//! password, status. Each step is planned from what was seen, so it can be cut off anywhere. A
//! rotation goes through the same steps with the other login role and the next Secret.

mod audit;
mod backup;
mod claim;
mod connect;
mod consent;
mod loss;
mod mark;
mod names;
mod repair;
mod retire;
mod rotation;
mod secret;
mod statement;
mod status;
mod terms;
#[cfg(test)]
mod tests;
mod unusable;
mod validate;

pub use audit::{
    Database, Facts, Inside, Role, Rows, Schema, Seen, Unreadable, ask_database, ask_facts,
    ask_inside, ask_roles, read_database, read_facts, read_inside, read_roles,
};
pub use backup::{Backup, BackupState, backup, backup_state, backup_volume_name};
pub use claim::{Claim, judge};
pub use connect::{FORBIDDEN, remedy, unreachable};
pub use consent::{Owner, consent};
pub use loss::{LOST, RECREATE, emptied, may_create};
pub use mark::{Hold, Mark};
pub use names::{Names, Wanted};
pub use repair::{inside, login, outside};
pub use retire::{owns_database, predecessors, retire, revoke, shut_spare};
pub use rotation::{ROTATE, Stage, next_step, rotation, secrets, stage, taken_over};
pub use secret::{Keys, secret, standing};
pub use statement::{Place, Statement};
pub use status::{Progress, intent, renewed, status};
pub use terms::{effective, end_policy, held_by_others, how_to_abandon, is_abandoned};
pub(crate) use unusable::unusable;
pub use validate::{
    Data, Observed, Server, ServerState, Valid, admin_secret, awaits_server, embedded_server,
    owner, validate,
};

/// Held by a binding as soon as something of it may exist on a server.
pub const FINALIZER: &str = "storefront.dev/database";
/// Annotation on a binding that is being deleted, of a shop's own on the Storefront: give up what cannot be reached and
/// let it go.
pub const ABANDON: &str = "storefront.dev/abandon";
