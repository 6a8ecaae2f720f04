//! Makes the cluster as planned: server-side apply with one field manager, in the plan's order.
//!
//! ## Why a hash *and* a comparison
//! An object is left alone when it carries the hash of what is planned (nothing we ask for changed)
//! and every field that is planned has its value in the live object (nobody else changed one). The
//! hash alone would miss drift; the comparison alone would miss a field that is no longer planned.
//! What the API server adds by itself (defaults, other managers' fields) is not looked at.
//! Where a comparison cannot tell (a server that spells a value in its own way), the write is a no-op
//! for the server, and [`Memory`] remembers not to try again until the object changes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::ApiResource;
use operator_plan::objects::{MANAGER, OWNER_UID_LABEL, STOREFRONT_LABEL};
use operator_plan::{Applied, Mode, ObjectKey, Objects, Planned};
use serde_json::Value;

use crate::context::Context;
use crate::error::{Error, code, optional};
use kube_cache::Key;

mod compare;

pub use compare::contains;

/// Annotation with the hash of what was applied.
pub const APPLIED_HASH: &str = "storefront.dev/applied-hash";
/// Annotation of a workload whose number of pods has been handed to an autoscaler.
const AUTOSCALED: &str = "storefront.dev/autoscaled";
/// Field manager that holds the number of pods from that hand-over on, so that ours can let go of it.
const SCALE_MANAGER: &str = "storefront-operator-scale";

/// Which version of each object was found to be as planned, so that it need not be read again.
#[derive(Default)]
pub struct Memory {
    /// By hash of the key: version and hash of the plan. 24 bytes for an object.
    verified: Mutex<HashMap<u64, (u64, u64)>>,
}

impl Memory {
    fn verify(&self, key: &ObjectKey, version: &str, plan: u64) {
        let entry = (digest(version), plan);
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(digest(key_parts(key)), entry);
    }

    fn is_verified(&self, key: &ObjectKey, version: &str, plan: u64) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.get(&digest(key_parts(key))) == Some(&(digest(version), plan))
    }

    fn forget(&self, key: &ObjectKey) {
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&digest(key_parts(key)));
    }
}

impl Context {
    /// Makes every object of the plan as planned, in its order; the first failure stops. Running it
    /// again is safe at any point, and writes nothing when nothing is to be changed.
    pub async fn apply(&self, plan: &Objects<Planned>) -> Result<Objects<Applied>, Error> {
        let mut applied = Objects::new();
        for planned in &plan.items {
            let live = match planned.mode {
                Mode::Apply | Mode::ApplyScaled { .. } => Some(self.apply_one(planned).await?),
                Mode::Create => Some(self.create_one(planned).await?),
                Mode::Keep => self.look(planned).await?,
            };
            if let Some(live) = live {
                applied
                    .items
                    .push(Applied::decode(planned.key.clone(), &live));
            }
        }
        Ok(applied)
    }

    /// The same for what is there; nothing is brought (back) to life.
    pub async fn apply_existing(&self, plan: &Objects<Planned>) -> Result<(), Error> {
        for planned in &plan.items {
            if self.read(&planned.resource, &planned.key).await?.is_some() {
                match self.apply_one(planned).await {
                    // It went between the look and the write, or never was ours.
                    Err(Error::Api { source, .. }) if code(&source) == Some(404) => {}
                    Err(Error::Foreign { .. } | Error::Stale { .. }) => {}
                    answer => drop(answer?),
                }
            }
        }
        Ok(())
    }

    /// Deletes the children of `owner_uid` that are in no mode part of the plan. Only what names the
    /// owner as its controller is touched, and only in the version that was seen.
    pub async fn prune(&self, owner_uid: &str, plan: &Objects<Planned>) -> Result<(), Error> {
        for child in self.stores.children_of(owner_uid) {
            if plan.contains(&child.key) {
                continue;
            }
            self.memory.forget(&child.key);
            let seen = Preconditions {
                resource_version: child.version.clone(),
                uid: None,
            };
            let params = DeleteParams::background().preconditions(seen);
            let api = self.dynamic(&child.resource, &child.key);
            match optional(api.delete(&child.key.name, &params).await) {
                Ok(_) => tracing::info!(object = %text(&child.key), "deleted: no longer planned"),
                Err(error) if code(&error) == Some(409) => {
                    return Err(Error::Stale {
                        what: text(&child.key),
                    });
                }
                Err(source) => return Err(Error::api("delete", text(&child.key), source)),
            }
        }
        Ok(())
    }

    /// Deletes one object in the background; it may be gone already.
    pub async fn delete_planned(
        &self,
        resource: &ApiResource,
        key: &ObjectKey,
    ) -> Result<(), Error> {
        self.memory.forget(key);
        let api = self.dynamic(resource, key);
        optional(api.delete(&key.name, &DeleteParams::background()).await)
            .map_err(|source| Error::api("delete", text(key), source))?;
        Ok(())
    }

    async fn apply_one(&self, planned: &Planned) -> Result<Value, Error> {
        let plan = digest(planned.body.to_string());
        let key = &planned.key;
        if let Some(live) = self.known_good(planned, plan) {
            return Ok(live);
        }
        let live = self.read(&planned.resource, key).await?;
        if let Some(live) = &live {
            check_owner(planned, live)?;
            let marked = annotation(live, APPLIED_HASH) == Some(&format!("{plan:016x}"));
            if is_ending(live) || (marked && contains(live, &planned.body)) {
                self.memory.verify(key, version(live), plan);
                return Ok(live.clone());
            }
        }
        let body = with_annotation(&planned.body, APPLIED_HASH, &format!("{plan:016x}"));
        let answer = match planned.mode {
            Mode::ApplyScaled { at_least } => {
                self.write_scaled(planned, &body, live.as_ref(), at_least)
                    .await?
            }
            Mode::Apply | Mode::Create | Mode::Keep => self.write(planned, MANAGER, &body).await?,
        };
        tracing::info!(object = %text(key), created = live.is_none(), "applied");
        self.memory.verify(key, version(&answer), plan);
        Ok(answer)
    }

    async fn write(&self, planned: &Planned, manager: &str, body: &Value) -> Result<Value, Error> {
        let key = &planned.key;
        let params = PatchParams::apply(manager).force();
        let api = self.dynamic(&planned.resource, key);
        let answer = api.patch(&key.name, &params, &Patch::Apply(body)).await;
        let answer = answer.map_err(|source| Error::api("apply", text(key), source))?;
        to_value(key, &answer)
    }

    /// Writes a workload whose number of pods is not ours to say.
    ///
    /// ## Why another field manager
    /// A field that its only manager no longer names goes back to its default, and that is one pod.
    /// So the number that is there gets a second manager before ours lets go of it, and a new
    /// workload gets its first number from that one. The autoscaler writes over it.
    async fn write_scaled(
        &self,
        planned: &Planned,
        body: &Value,
        live: Option<&Value>,
        at_least: i32,
    ) -> Result<Value, Error> {
        let body = with_annotation(body, AUTOSCALED, "true");
        let scale = |live: i64| {
            serde_json::json!({
                "apiVersion": planned.body["apiVersion"],
                "kind": planned.body["kind"],
                "spec": { "replicas": live.max(i64::from(at_least)) },
            })
        };
        let Some(live) = live else {
            self.write(planned, MANAGER, &body).await?;
            return self.write(planned, SCALE_MANAGER, &scale(1)).await;
        };
        if annotation(live, AUTOSCALED).is_none() {
            let pods = live["spec"]["replicas"].as_i64().unwrap_or(1);
            self.write(planned, SCALE_MANAGER, &scale(pods)).await?;
        }
        self.write(planned, MANAGER, &body).await
    }

    /// The object as it is, if that is known without asking: the watch shows the version that was
    /// found to be as planned, and nobody needs more than the plan or the watch knows.
    fn known_good(&self, planned: &Planned, plan: u64) -> Option<Value> {
        let seen = self.stores.child(&planned.key)?;
        if !self
            .memory
            .is_verified(&planned.key, seen.version.as_deref()?, plan)
        {
            return None;
        }
        match seen.live {
            Some(live) => Some(live),
            None if has_telling_status(&planned.key.kind) => None,
            None => Some(planned.body.clone()),
        }
    }

    /// Creates an object that must not be there yet, then applies the plan to it.
    ///
    /// The first write leaves out everything but the content: what a create wrote stays owned by that
    /// create, and a later apply could no longer take it away. An owner reference must not stick so.
    async fn create_one(&self, planned: &Planned) -> Result<Value, Error> {
        let key = &planned.key;
        let mut body = planned.body.clone();
        if let Some(meta) = body["metadata"].as_object_mut() {
            meta.retain(|field, _| matches!(field.as_str(), "name" | "namespace" | "labels"));
        }
        let object: DynamicObject =
            serde_json::from_value(body).map_err(|source| Error::Encode {
                what: text(key),
                source,
            })?;
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..Default::default()
        };
        match self
            .dynamic(&planned.resource, key)
            .create(&params, &object)
            .await
        {
            Ok(_) => self.apply_one(planned).await,
            Err(error) if code(&error) == Some(409) => Err(Error::Stale { what: text(key) }),
            Err(source) => Err(Error::api("create", text(key), source)),
        }
    }

    /// The object as it is, from the watch where that holds all of it.
    async fn look(&self, planned: &Planned) -> Result<Option<Value>, Error> {
        match self.stores.child(&planned.key).and_then(|child| child.live) {
            Some(live) => Ok(Some(live)),
            None => self.read(&planned.resource, &planned.key).await,
        }
    }

    async fn read(&self, resource: &ApiResource, key: &ObjectKey) -> Result<Option<Value>, Error> {
        let answer = self.dynamic(resource, key).get(&key.name).await;
        let found = optional(answer).map_err(|source| Error::api("get", text(key), source))?;
        found.map(|object| to_value(key, &object)).transpose()
    }

    fn dynamic(&self, resource: &ApiResource, key: &ObjectKey) -> Api<DynamicObject> {
        if key.namespace.is_empty() {
            Api::all_with(self.client.clone(), resource)
        } else {
            Api::namespaced_with(self.client.clone(), &key.namespace, resource)
        }
    }
}

/// Kinds whose live status decides about readiness, and which are not held whole.
fn has_telling_status(kind: &str) -> bool {
    matches!(
        kind,
        "Deployment" | "StatefulSet" | "Job" | "Secret" | "Service" | "PersistentVolumeClaim"
    )
}

/// Refuses what belongs to somebody else.
fn check_owner(planned: &Planned, live: &Value) -> Result<(), Error> {
    let what = text(&planned.key);
    let Some(theirs) = controller(live) else {
        if label(live, "app.kubernetes.io/managed-by") == Some(MANAGER) {
            return Ok(());
        }
        return Err(Error::Foreign {
            what,
            owner: "nobody that this operator knows".into(),
        });
    };
    // What outlives its owner is planned without a reference to it, but with its uid as a label.
    let ours = controller(&planned.body);
    let uid = ours.map_or_else(
        || label(&planned.body, OWNER_UID_LABEL),
        |it| it["uid"].as_str(),
    );
    if uid.is_some() && theirs["uid"].as_str() == uid {
        return Ok(());
    }
    let shop = label(&planned.body, STOREFRONT_LABEL);
    let is_namesake = match ours {
        Some(ours) => ours["kind"] == theirs["kind"] && ours["name"] == theirs["name"],
        None => theirs["kind"] == "Storefront" && theirs["name"].as_str() == shop,
    };
    if is_namesake {
        // A child of our deleted namesake: the garbage collector is about to take it.
        return Err(Error::Stale { what });
    }
    let word = |field: &str| theirs[field].as_str().unwrap_or_default().to_owned();
    Err(Error::Foreign {
        what,
        owner: format!("{} {}", word("kind"), word("name")),
    })
}

fn controller(object: &Value) -> Option<&Value> {
    let references = object["metadata"]["ownerReferences"].as_array()?;
    references
        .iter()
        .find(|reference| reference["controller"] == Value::Bool(true))
}

fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["labels"][name].as_str()
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][name].as_str()
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
}

fn is_ending(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

fn with_annotation(body: &Value, name: &str, value: &str) -> Value {
    let mut body = body.clone();
    let meta = &mut body["metadata"];
    if !meta["annotations"].is_object() {
        meta["annotations"] = Value::Object(serde_json::Map::new());
    }
    meta["annotations"][name] = Value::String(value.to_owned());
    body
}

fn to_value(key: &ObjectKey, object: &DynamicObject) -> Result<Value, Error> {
    let mut value = serde_json::to_value(object).map_err(|source| Error::Encode {
        what: text(key),
        source,
    })?;
    if let Some(meta) = value["metadata"].as_object_mut() {
        meta.remove("managedFields");
    }
    Ok(value)
}

/// Kind and name, for messages.
fn text(key: &ObjectKey) -> String {
    format!(
        "{} {}",
        key.kind,
        Key::new(key.namespace.clone(), key.name.clone())
    )
}

fn key_parts(key: &ObjectKey) -> (&str, &str, &str, &str) {
    (&key.group, &key.kind, &key.namespace, &key.name)
}

fn digest(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
