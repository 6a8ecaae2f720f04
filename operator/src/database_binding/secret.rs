//! The Secret with the credentials: created exactly once, read back before its password is used.

use crds::DatabaseBinding;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Preconditions};
use operator_plan::database_binding::{Keys, Valid, secret, standing};
use operator_plan::names::binding_secret;

use super::scram::Password;
use crate::context::{Context, what};
use crate::error::{Error, code, optional};

/// Looks that agreeing on one Secret may take while others write it too.
const ROUNDS: usize = 4;

/// What came of it.
pub enum Held {
    /// The password that the stored Secret holds.
    Password(Password),
    /// A Secret of a deleted binding of this name is still there.
    Leaving,
    /// A Secret of somebody else has this name.
    Foreign,
}

/// Makes sure that the Secret exists and says the right thing; answers with its password.
pub async fn hold(ctx: &Context, binding: &DatabaseBinding, valid: &Valid) -> Result<Held, Error> {
    let (namespace, name) = (&valid.wanted.mark.namespace, &valid.wanted.names.secret);
    let mut password = None;
    for _ in 0..ROUNDS {
        let Some(found) = ctx.get::<Secret>(namespace, name).await? else {
            let fresh = match password.take() {
                Some(kept) => kept,
                None => Password::random().map_err(|_| Error::NoEntropy)?,
            };
            // Created, or somebody was faster: either way the stored one counts.
            ctx.create(&secret(binding, valid, fresh.reveal())).await?;
            continue;
        };
        match standing(valid, &found) {
            Keys::Good(stored) => return Ok(Held::Password(Password::new(&stored))),
            Keys::Leaving => return Ok(Held::Leaving),
            Keys::Foreign => return Ok(Held::Foreign),
            Keys::Stale(stored) => {
                // Immutable: replaced, not edited. Cut off in between, a new password is made, and
                // the role follows it.
                password = stored.as_deref().map(Password::new);
                delete(ctx, &found).await?;
            }
        }
    }
    Err(Error::Stale {
        what: what::<Secret>(namespace, name),
    })
}

/// Deletes the Secret of this name if it is this binding's.
pub async fn remove(ctx: &Context, binding: &DatabaseBinding) -> Result<(), Error> {
    let namespace = binding.namespace().unwrap_or_default();
    let name = binding_secret(&binding.name_any());
    let uid = binding.uid();
    match ctx.get::<Secret>(&namespace, &name).await? {
        Some(found)
            if found
                .owner_references()
                .iter()
                .any(|owner| Some(&owner.uid) == uid.as_ref()) =>
        {
            delete(ctx, &found).await
        }
        Some(_) | None => Ok(()),
    }
}

/// Deletes exactly the Secret that was looked at.
async fn delete(ctx: &Context, found: &Secret) -> Result<(), Error> {
    let (namespace, name) = (found.namespace().unwrap_or_default(), found.name_any());
    let exactly = Preconditions {
        uid: found.uid(),
        resource_version: None,
    };
    let params = DeleteParams {
        preconditions: Some(exactly),
        ..DeleteParams::default()
    };
    let secrets: Api<Secret> = ctx.api(&namespace);
    let what = || what::<Secret>(&namespace, &name);
    match optional(secrets.delete(&name, &params).await) {
        Ok(_) => Ok(()),
        Err(error) if code(&error) == Some(409) => Err(Error::Stale { what: what() }),
        Err(source) => Err(Error::api("delete", what(), source)),
    }
}
