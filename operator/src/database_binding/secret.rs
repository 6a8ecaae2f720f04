//! The Secret with the credentials: created exactly once, read back before its password is used.

use crds::DatabaseBinding;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Preconditions};
use operator_plan::database_binding::{Keys, Valid, secret, secrets, standing};
use operator_plan::{Invalid, Verdict, Waiting};

use super::scram::Password;
use crate::context::{Context, what};
use crate::error::{Error, code, optional};

/// Looks that agreeing on one Secret may take while others write it too.
const ROUNDS: usize = 4;

/// Makes sure that the Secret exists and says the right thing; answers with its password.
pub async fn hold(
    ctx: &Context,
    binding: &DatabaseBinding,
    valid: &Valid,
) -> Result<Verdict<Password>, Error> {
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
            Keys::Good(stored) => return Ok(Verdict::Ready(Password::new(&stored))),
            Keys::Leaving => {
                let message = format!(
                    "Secret {name} of a deleted DatabaseBinding of this name is still there"
                );
                return Ok(Verdict::Waiting(Waiting::new("SecretLeaving", message)));
            }
            Keys::Foreign => {
                let message = format!(
                    "Secret {name} exists and is not this binding's: delete it, or create this binding under another name"
                );
                return Ok(Verdict::Invalid(Invalid::new("SecretNotOurs", message)));
            }
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

/// Deletes all Secrets of a binding: that in use, and those that come and go.
pub async fn remove_all(ctx: &Context, binding: &DatabaseBinding) -> Result<(), Error> {
    for name in secrets(binding) {
        remove(ctx, binding, &name).await?;
    }
    Ok(())
}

/// Deletes the Secret of this name if it is this binding's.
pub async fn remove(ctx: &Context, binding: &DatabaseBinding, name: &str) -> Result<(), Error> {
    let namespace = binding.namespace().unwrap_or_default();
    let uid = binding.uid();
    match ctx.get::<Secret>(&namespace, name).await? {
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
