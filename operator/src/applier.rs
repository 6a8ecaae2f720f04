//! Makes the cluster as planned: server-side apply with one field manager, in the plan's order.
//!
//! ## Why a hash *and* a comparison
//! An object is left alone when it carries the hash of what is planned (nothing we ask for changed),
//! every field that is planned has its value in the live object (nobody else changed one), and it has
//! nothing besides that changes what it does ([`excess`]: one more key in a selector, a foreign container). The
//! hash alone would miss drift; the comparison alone would miss a field that is no longer planned.
//! Once compared, an object is compared again only when its revision changes: see [`Memory`]. So what an
//! admission webhook adds to each write is removed once and then left.
//!
//! ## What one refused object stops
//! Nothing that exists: the rest of the plan is still made as planned, and the refusal is reported. Where
//! the object itself is the obstacle (a field that cannot be changed), it is made anew: see [`replace`].
//!
//! ## Why a new object is created and not applied
//! The caches show only objects with our label, so an object that they do not show may still exist and
//! belong to somebody else. A forced apply would take it over; a create fails. That costs no read. What
//! a create wrote has another kind of owner in `managedFields` than what an apply wrote, so the first
//! apply that follows hands it over: see [`ownership`].

use std::sync::Arc;

use kube::Client;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::ApiResource;
use operator_plan::objects::{AUTOSCALED, MANAGER};
use operator_plan::{Applied, Live, Mode, ObjectKey, Objects, Planned};
use serde_json::{Value, json};

use crate::caches::{Caches, Child};
use crate::error::{Error, code, optional};
use crate::patches::merge_params;
use crate::reader::{Reader, dynamic, text, to_value};
use crate::secrets::Secrets;
use crate::slim::revision_of;

mod compare;
mod excess;
mod grow;
mod in_use;
mod memory;
mod owner;
mod ownership;
mod refused;
mod replace;

pub use compare::contains;
pub use ownership::handed_over;

use excess::excess;
use memory::{Memory, digest};
use owner::check_owner;
use refused::Refused;

/// Annotation with the hash of what was applied.
pub const APPLIED_HASH: &str = "storefront.dev/applied-hash";
/// Field manager that holds the number of pods from that hand-over on, so that ours can let go of it.
const SCALE_MANAGER: &str = "storefront-operator-scale";

/// Writes children.
pub struct Applier {
    client: Client,
    caches: Arc<Caches>,
    secrets: Arc<Secrets>,
    reader: Arc<Reader>,
    memory: Memory,
}

/// What is to be written for one planned object.
struct Write<'a> {
    planned: &'a Planned,
    /// Digest of the plan.
    plan: u64,
    /// The plan's body with the digest as an annotation.
    body: Value,
}

impl Applier {
    /// Writes nothing yet.
    pub fn new(
        client: Client,
        caches: Arc<Caches>,
        secrets: Arc<Secrets>,
        reader: Arc<Reader>,
    ) -> Self {
        Self {
            client,
            caches,
            secrets,
            reader,
            memory: Memory::default(),
        }
    }

    /// Makes every object of the plan as planned, in its order. Running it again is safe at any point, and
    /// writes nothing when nothing is to be changed. A call that fails stops it; an object that is
    /// refused does not, but is the answer in the end.
    pub async fn apply(&self, plan: &Objects<Planned>) -> Result<Objects<Applied>, Error> {
        let mut applied = Objects::new();
        let mut refused = Refused::default();
        for planned in &plan.items {
            let is_new = || self.caches.child(&planned.key).is_none();
            if refused.holds_back(planned) || (refused.forbids(planned) && is_new()) {
                continue;
            }
            match self.make(planned).await {
                Ok(Some(live)) => {
                    let key = planned.key.clone();
                    applied.items.push(Applied { key, live });
                }
                Ok(None) => {}
                Err(error) if error.refusal().is_some() => refused.add(planned, error),
                Err(error) => return Err(error),
            }
        }
        refused.first.map_or(Ok(applied), Err)
    }

    async fn make(&self, planned: &Planned) -> Result<Option<Live>, Error> {
        match planned.mode {
            Mode::Apply | Mode::ApplyScaled { .. } => self.apply_one(planned).await.map(Some),
            Mode::Create => self.create_only(planned).await.map(Some),
            Mode::Grow => self.grow(planned).await,
            Mode::Keep => {
                let (resource, key) = (&planned.resource, &planned.key);
                self.reader.read_one(resource, key).await
            }
        }
    }

    /// The same for what exists; nothing is created.
    pub async fn apply_existing(&self, plan: &Objects<Planned>) -> Result<(), Error> {
        for planned in &plan.items {
            let (resource, key) = (&planned.resource, &planned.key);
            let Some(found) = self.reader.fetch_object(resource, key).await? else {
                continue;
            };
            match self.settle_found(&Write::of(planned), found).await {
                // It went between the read and the write, or never was ours.
                Err(Error::Api { source, .. }) if code(&source) == Some(404) => {}
                Err(Error::Foreign { .. } | Error::Stale { .. }) => {}
                answer => drop(answer?),
            }
        }
        Ok(())
    }

    /// Deletes the children of `owner_uid` that are not in the plan. Only what names the owner as its
    /// controller is touched, only in the version that was seen, and only what `may_be_pruned` says. A Secret waits
    /// until no pod can need it, see [`in_use`].
    pub async fn prune(
        &self,
        owner_uid: &str,
        plan: &Objects<Planned>,
        may_be_pruned: impl Fn(&ObjectKey) -> bool,
    ) -> Result<(), Error> {
        for child in self.caches.children_of(owner_uid) {
            if plan.contains(&child.key)
                || !may_be_pruned(&child.key)
                || in_use::is_needed(&self.caches, &child.key)
            {
                continue;
            }
            self.memory.forget(&child.key);
            let seen = Preconditions {
                resource_version: child.version.clone(),
                uid: None,
            };
            let params = DeleteParams::background().preconditions(seen);
            let api = dynamic(&self.client, &child.resource, &child.key);
            match optional(api.delete(&child.key.name, &params).await) {
                Ok(_) => {
                    tracing::info!(object = %text(&child.key), "deleted: no longer planned");
                }
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
    pub async fn delete(&self, resource: &ApiResource, key: &ObjectKey) -> Result<(), Error> {
        self.memory.forget(key);
        let api = dynamic(&self.client, resource, key);
        optional(api.delete(&key.name, &DeleteParams::background()).await)
            .map_err(|source| Error::api("delete", text(key), source))?;
        Ok(())
    }

    async fn apply_one(&self, planned: &Planned) -> Result<Live, Error> {
        let write = Write::of(planned);
        match self.caches.child(&planned.key) {
            Some(child) if self.is_as_planned(&write, &child) => return Ok(child.live),
            None if self.caches.covers(&planned.key) => {
                if let Some(live) = self.create(&write).await? {
                    return Ok(live);
                }
            }
            Some(_) | None => {}
        }
        self.settle(&write).await
    }

    /// Creates an object whose content was made for it alone: where one exists already, the observation
    /// that said otherwise was stale.
    async fn create_only(&self, planned: &Planned) -> Result<Live, Error> {
        let key = &planned.key;
        if let Some(live) = self.create(&Write::of(planned)).await? {
            return Ok(live);
        }
        if let Some(live) = self.reader.fetch_dynamic(&planned.resource, key).await? {
            check_owner(planned, &live)?;
        }
        Err(Error::Stale { what: text(key) })
    }

    /// Whether the cache shows the object in a revision that is as planned.
    fn is_as_planned(&self, write: &Write<'_>, child: &Child) -> bool {
        let key = &write.planned.key;
        if self.memory.is_verified(key, child.revision, write.plan) {
            return true;
        }
        let Some(whole) = &child.whole else {
            return false;
        };
        let is_ours = check_owner(write.planned, whole).is_ok();
        let is_right = is_ours && (is_ending(whole) || write.is_done(whole));
        if is_right {
            self.memory.verify(key, child.revision, write.plan);
        }
        is_right
    }

    /// Reads an object from the API server and writes it if it is not as planned.
    async fn settle(&self, write: &Write<'_>) -> Result<Live, Error> {
        let (resource, key) = (&write.planned.resource, &write.planned.key);
        if let Some(found) = self.reader.fetch_object(resource, key).await? {
            return self.settle_found(write, found).await;
        }
        let created = self.create(write).await?;
        created.ok_or_else(|| Error::Stale { what: text(key) })
    }

    /// Writes an object that exists, if it is not as planned.
    async fn settle_found(&self, write: &Write<'_>, found: DynamicObject) -> Result<Live, Error> {
        let key = &write.planned.key;
        let (revision, mut managed) = (
            revision_of(&found.metadata),
            found.metadata.managed_fields.clone(),
        );
        let live = to_value(key, found)?;
        check_owner(write.planned, &live)?;
        if is_ending(&live) || write.is_done(&live) {
            self.memory.verify(key, revision, write.plan);
            return Ok(self.caches.record(key, &live));
        }
        let live = match self.remove_excess(write.planned, &live).await? {
            Some(answer) => {
                let now = to_value(key, answer.clone())?;
                if write.is_done(&now) {
                    tracing::info!(object = %text(key), "removed what was not planned");
                    return self.written(write, answer);
                }
                managed = answer.metadata.managed_fields;
                now
            }
            None => live,
        };
        if let Some(managed) = handed_over(managed.as_deref().unwrap_or_default()) {
            self.hand_over(write.planned, &live, &managed).await?;
        }
        match self.patch_found(write, &live).await {
            Ok(answer) => {
                tracing::info!(object = %text(key), "applied");
                self.written(write, answer)
            }
            Err(error) if error.is_invalid() => self.replace(write, &live, error).await,
            Err(error) => Err(error),
        }
    }

    /// Applies the plan to an object that exists.
    async fn patch_found(&self, write: &Write<'_>, live: &Value) -> Result<DynamicObject, Error> {
        // With its uid the write is refused, and creates nothing, where the object is gone meanwhile.
        let mut body = write.body.clone();
        body["metadata"]["uid"] = live["metadata"]["uid"].clone();
        match write.planned.mode {
            Mode::ApplyScaled { at_least } => {
                let body = with_annotation(&body, AUTOSCALED, "true");
                self.apply_scaled(write.planned, &body, live, at_least)
                    .await
            }
            Mode::Apply | Mode::Grow | Mode::Create | Mode::Keep => {
                self.patch(write.planned, MANAGER, &body).await
            }
        }
    }

    /// Removes what an object has beyond its plan; `None` when there is nothing.
    async fn remove_excess(
        &self,
        planned: &Planned,
        live: &Value,
    ) -> Result<Option<DynamicObject>, Error> {
        let Some(mut patch) = excess(live, &planned.body) else {
            return Ok(None);
        };
        let key = &planned.key;
        patch["metadata"] = json!({ "uid": live["metadata"]["uid"] });
        let api = dynamic(&self.client, &planned.resource, key);
        match api
            .patch(&key.name, &merge_params(), &Patch::Merge(&patch))
            .await
        {
            Ok(answer) => Ok(Some(answer)),
            // What cannot be removed is reported by the apply, or replaced.
            Err(error) if code(&error) == Some(422) => Ok(None),
            Err(source) => Err(Error::api("patch", text(key), source)),
        }
    }

    /// Creates an object; `None` when one of its name exists.
    async fn create(&self, write: &Write<'_>) -> Result<Option<Live>, Error> {
        let (planned, key) = (write.planned, &write.planned.key);
        let mut body = write.body.clone();
        if let Mode::ApplyScaled { .. } = planned.mode {
            body = with_annotation(&body, AUTOSCALED, "true");
        }
        let mut answer = match self.post(planned, body, false).await? {
            Ok(answer) => answer,
            Err(error) if code(&error) == Some(409) => return Ok(None),
            Err(source) => return Err(Error::api("create", text(key), source)),
        };
        if let Mode::ApplyScaled { at_least } = planned.mode {
            let scale = scale(planned, 1, at_least);
            answer = self.patch(planned, SCALE_MANAGER, &scale).await?;
        }
        tracing::info!(object = %text(key), "created");
        self.written(write, answer).map(Some)
    }

    /// Sends an object as a new one; what the API server says to it is the caller's.
    async fn post(
        &self,
        planned: &Planned,
        body: Value,
        dry_run: bool,
    ) -> Result<kube::Result<DynamicObject>, Error> {
        let key = &planned.key;
        let object = serde_json::from_value(body).map_err(|source| Error::Encode {
            what: text(key),
            source,
        })?;
        let params = PostParams {
            dry_run,
            field_manager: Some(MANAGER.to_owned()),
        };
        let api = dynamic(&self.client, &planned.resource, key);
        Ok(api.create(&params, &object).await)
    }

    /// Makes the fields that were written by the create of this operator fields that were applied by it.
    async fn hand_over(
        &self,
        planned: &Planned,
        live: &Value,
        managed: &Value,
    ) -> Result<(), Error> {
        let key = &planned.key;
        let meta = &live["metadata"];
        let patch = json!({ "metadata": {
            "uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "managedFields": managed,
        }});
        let api = dynamic(&self.client, &planned.resource, key);
        let answer = api
            .patch(&key.name, &merge_params(), &Patch::Merge(&patch))
            .await;
        answer.map_err(|source| Error::api("patch", text(key), source))?;
        Ok(())
    }

    /// Writes a workload whose number of pods an autoscaler decides.
    ///
    /// ## Why another field manager
    /// A field that its only manager no longer names goes back to its default, and that is one pod.
    /// So the number that is there gets a second manager before ours lets go of it, and a new
    /// workload gets its first number from that one. The autoscaler writes over it.
    async fn apply_scaled(
        &self,
        planned: &Planned,
        body: &Value,
        live: &Value,
        at_least: i32,
    ) -> Result<DynamicObject, Error> {
        if annotation(live, AUTOSCALED).is_none() {
            let mut scale = scale(planned, number_of_pods(live), at_least);
            scale["metadata"] = json!({ "uid": body["metadata"]["uid"] });
            self.patch(planned, SCALE_MANAGER, &scale).await?;
        }
        self.patch(planned, MANAGER, body).await
    }

    async fn patch(
        &self,
        planned: &Planned,
        manager: &str,
        body: &Value,
    ) -> Result<DynamicObject, Error> {
        let key = &planned.key;
        let params = PatchParams::apply(manager).force();
        let api = dynamic(&self.client, &planned.resource, key);
        let answer = api.patch(&key.name, &params, &Patch::Apply(body)).await;
        answer.map_err(|source| Error::api("apply", text(key), source))
    }

    /// Takes the answer to the last write of an object into the caches.
    fn written(&self, write: &Write<'_>, answer: DynamicObject) -> Result<Live, Error> {
        let key = &write.planned.key;
        let revision = revision_of(&answer.metadata);
        self.memory.verify(key, revision, write.plan);
        let answer = to_value(key, answer)?;
        if key.group.is_empty()
            && key.kind == "Secret"
            && let Ok(secret) = serde::Deserialize::deserialize(&answer)
        {
            self.secrets.learn(&secret);
        }
        Ok(self.caches.record(key, &answer))
    }
}

impl<'a> Write<'a> {
    fn of(planned: &'a Planned) -> Self {
        let plan = digest(planned.body.to_string());
        Self {
            planned,
            plan,
            body: with_annotation(&planned.body, APPLIED_HASH, &format!("{plan:016x}")),
        }
    }

    /// Whether a live object is as planned.
    fn is_done(&self, live: &Value) -> bool {
        annotation(live, APPLIED_HASH) == annotation(&self.body, APPLIED_HASH)
            && contains(live, &self.planned.body)
            && excess(live, &self.planned.body).is_none()
    }
}

/// The number of pods of a workload, for its own field manager.
fn scale(planned: &Planned, pods: i64, at_least: i32) -> Value {
    let pods = json!(pods.max(i64::from(at_least)));
    let is_workload = planned.key.kind != "ServiceDeployment";
    json!({
        "apiVersion": planned.body["apiVersion"],
        "kind": planned.body["kind"],
        "spec": { "replicas": if is_workload { pods } else { json!({ "min": pods }) } },
    })
}

fn number_of_pods(live: &Value) -> i64 {
    let replicas = &live["spec"]["replicas"];
    let number = replicas.as_i64().or(replicas["min"].as_i64());
    number.unwrap_or(1)
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][name].as_str()
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
