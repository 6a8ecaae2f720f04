//! The Secret with the credentials: created exactly once, read back before its password is used.

use crds::DatabaseBinding;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use kube_cache::Key;
use operator_plan::database_binding::{Keys, Valid, secret, secrets, standing};
use operator_plan::objects::MANAGER;
use operator_plan::{Invalid, Verdict, Waiting};

use super::scram::Password;
use crate::context::Context;
use crate::error::{Error, code, optional};
use crate::slim::Slim;

/// Attempts to agree on one Secret while others write it too.
const ROUNDS: usize = 4;

/// The Secret that the status names.
pub enum InUse {
    /// The status names none yet: nobody can have mounted it.
    None,
    /// It says the right thing; this is the password.
    Good(Password),
    /// It is gone, or says something else: pods may have mounted it, so it is not made again under its name.
    Lost,
}

/// Reads the Secret in use.
pub async fn in_use(
    ctx: &Context,
    binding: &DatabaseBinding,
    valid: &Valid,
) -> Result<InUse, Error> {
    let status = binding.status.as_ref();
    if status.and_then(|status| status.binding.as_ref()).is_none() {
        return Ok(InUse::None);
    }
    let names = &valid.wanted.names;
    let key = Key::new(valid.wanted.mark.namespace.clone(), names.secret.clone());
    let ours = &ctx.caches.secrets.store;
    if ours.covers(&key) && ours.get(&key).is_none() {
        return Ok(InUse::Lost);
    }
    let found = ctx.reader.fetch::<Secret>(&key).await?;
    Ok(match found.map(|found| standing(valid, &found)) {
        Some(Keys::Good(password)) => InUse::Good(Password::new(&password)),
        Some(Keys::Stale(_) | Keys::Leaving | Keys::Foreign) | None => InUse::Lost,
    })
}

/// Makes sure that a Secret that nobody uses yet exists and says the right thing; returns its password.
pub async fn hold(
    ctx: &Context,
    binding: &DatabaseBinding,
    valid: &Valid,
) -> Result<Verdict<Password>, Error> {
    let names = &valid.wanted.names;
    let key = Key::new(valid.wanted.mark.namespace.clone(), names.secret.clone());
    let mut password = None;
    // What this process has just created need not be read back: the answer shows what is stored.
    let mut created = None;
    // What the watch of our Secrets does not show need not be read either: a create finds out.
    let ours = &ctx.caches.secrets.store;
    let mut is_absent = ours.covers(&key) && ours.get(&key).is_none();
    for _ in 0..ROUNDS {
        let found = match created.take() {
            Some(created) => Some(created),
            None if std::mem::take(&mut is_absent) => None,
            None => ctx.reader.fetch::<Secret>(&key).await?,
        };
        let Some(found) = found else {
            let fresh = match password.take() {
                Some(kept) => kept,
                None => Password::random().map_err(|_| Error::NoEntropy)?,
            };
            // Created, or somebody was faster: either way the stored one counts.
            created = create(ctx, &key, &secret(binding, valid, fresh.reveal())).await?;
            continue;
        };
        let name = &key.name;
        match standing(valid, &found) {
            Keys::Good(stored) => return Ok(Verdict::Ready(Password::new(&stored))),
            Keys::Leaving => {
                let message =
                    format!("Secret {name} of a deleted DatabaseBinding of this name still exists");
                return Ok(Verdict::Waiting(Waiting::new("SecretLeaving", message)));
            }
            Keys::Foreign => {
                let message = format!(
                    "Secret {name} exists and is not this binding's: delete it, or create this binding under another name"
                );
                return Ok(Verdict::Invalid(Invalid::new("SecretNotOurs", message)));
            }
            Keys::Stale(stored) => {
                // Immutable: replaced, not edited. Cut off in between, a new password is generated, and
                // the role follows it.
                password = stored.as_deref().map(Password::new);
                delete(ctx, &found).await?;
            }
        }
    }
    Err(Error::Stale {
        what: format!("Secret {key}"),
    })
}

/// Creates the Secret. `None` when one of this name exists already.
async fn create(ctx: &Context, key: &Key, secret: &Secret) -> Result<Option<Secret>, Error> {
    let api = Api::<Secret>::namespaced(ctx.client.clone(), &key.namespace);
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..Default::default()
    };
    match api.create(&params, secret).await {
        Ok(created) => {
            ctx.secrets.learn(&created);
            ctx.caches.secrets.record(Slim::of(&created.metadata));
            Ok(Some(created))
        }
        Err(error) if code(&error) == Some(409) => Ok(None),
        Err(source) => Err(Error::api("create", format!("Secret {key}"), source)),
    }
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
    match ctx
        .reader
        .fetch::<Secret>(&Key::new(namespace, name))
        .await?
    {
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

/// Deletes exactly the Secret that was read.
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
    let secrets = Api::<Secret>::namespaced(ctx.client.clone(), &namespace);
    let what = || format!("Secret {namespace}/{name}");
    match optional(secrets.delete(&name, &params).await) {
        Ok(_) => Ok(()),
        Err(error) if code(&error) == Some(409) => Err(Error::Stale { what: what() }),
        Err(source) => Err(Error::api("delete", what(), source)),
    }
}
