//! Objects, their history, and what other controllers would do with them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::patch;
use super::rules::{default, differs, drop_nulls, field_set, is_invalid, meta_matches};

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    pub group: String,
    pub resource: String,
    pub namespace: String,
    pub name: String,
}

impl Id {
    pub fn new(group: &str, resource: &str, namespace: &str, name: &str) -> Self {
        Self {
            group: group.into(),
            resource: resource.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// End of the images that no registry has.
const MISSING: &str = ":missing";

/// A refusal: status code and reason.
pub type Refusal = (u16, &'static str);

/// One entry of the history.
#[derive(Clone)]
pub struct Entry {
    pub version: u64,
    pub kind: &'static str,
    pub id: Id,
    pub object: Value,
}

#[derive(Default)]
pub struct Store {
    objects: BTreeMap<Id, Value>,
    /// What managers applied, by object, manager and half (spec or status).
    applied: HashMap<(Id, String, bool), Value>,
    /// What managers created by other means than an apply, by object and manager.
    created: HashMap<(Id, String), Value>,
    pub history: Vec<Entry>,
    /// Watches from before this version are told that it is gone.
    pub oldest: u64,
    pub version: u64,
    uids: u64,
    /// Workloads whose pods are not ready.
    sick: BTreeSet<Id>,
    /// uids of what was deleted.
    gone: BTreeSet<String>,
    podless: BTreeSet<Id>,
    /// On what day of January 2026, counted from 0, objects are made.
    pub day: u8,
}

impl Store {
    pub fn get(&self, id: &Id) -> Option<&Value> {
        self.objects.get(id)
    }

    pub fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<(Id, Value)> {
        self.objects
            .iter()
            .filter(|(id, _)| id.group == group && id.resource == resource)
            .filter(|(id, _)| namespace.is_empty() || id.namespace == namespace)
            .map(|(id, object)| (id.clone(), object.clone()))
            .collect()
    }

    pub fn all(&self) -> &BTreeMap<Id, Value> {
        &self.objects
    }

    pub fn create(&mut self, id: &Id, mut object: Value) -> Result<Value, Refusal> {
        if self.objects.contains_key(id) {
            return Err((409, "AlreadyExists"));
        }
        self.uids += 1;
        let meta = &mut object["metadata"];
        meta["name"] = id.name.clone().into();
        if !id.namespace.is_empty() {
            meta["namespace"] = id.namespace.clone().into();
        }
        meta["uid"] = format!("uid-{}", self.uids).into();
        // Secrets have no generation: each change counts.
        if id.resource != "secrets" {
            meta["generation"] = 1.into();
        }
        meta["creationTimestamp"] = format!("2026-01-{:02}T00:00:00Z", self.day + 1).into();
        default(id, &mut object);
        let saved = self.save("ADDED", id, object);
        // What is made for an owner that is gone is collected as well.
        if super::is_owned(&saved, |uid| self.gone.contains(uid)) {
            drop(self.delete(id, &Value::Null));
        }
        Ok(saved)
    }

    /// The same in the name of a field manager, which owns what it created until it hands that over.
    pub fn create_by(&mut self, id: &Id, manager: &str, object: Value) -> Result<Value, Refusal> {
        let written = object.clone();
        self.create(id, object)?;
        self.created
            .insert((id.clone(), manager.to_owned()), written);
        self.shown(id).ok_or((404, "NotFound"))
    }

    /// An object as a reader sees it, with its managedFields.
    pub fn shown(&self, id: &Id) -> Option<Value> {
        let mut object = self.get(id)?.clone();
        let entry = |manager: &str, operation: &str, body: &Value| {
            json!({ "manager": manager, "operation": operation, "apiVersion": object["apiVersion"],
                "fieldsType": "FieldsV1", "fieldsV1": field_set(body) })
        };
        let applied = self.applied.iter();
        let applied = applied.filter(|((of, _, status), _)| of == id && !status);
        let mut entries: Vec<Value> = applied
            .map(|((_, by, _), body)| entry(by, "Apply", body))
            .collect();
        let created = self.created.iter().filter(|((of, _), _)| of == id);
        entries.extend(created.map(|((_, by), body)| entry(by, "Update", body)));
        object["metadata"]["managedFields"] = entries.into();
        Some(object)
    }

    /// Merges a patch into an object. Its manager owns the finalizers in it. One that renames an entry of
    /// the managedFields from `Update` to `Apply` makes what that manager created something that it applied,
    /// finalizers aside where they are left to an `Update`.
    pub fn merge(
        &mut self,
        id: &Id,
        by: &str,
        status: bool,
        patch: &Value,
    ) -> Result<Value, Refusal> {
        let mut patch = patch.clone();
        let meta = patch.get_mut("metadata").and_then(Value::as_object_mut);
        let renamed = meta.and_then(|meta| meta.remove("managedFields"));
        let answer = self.update(id, status, |object| patch::merge(object, &patch))?;
        let finalizers = &patch["metadata"]["finalizers"];
        if finalizers.is_array() && self.objects.contains_key(id) {
            let key = (id.clone(), by.to_owned());
            let written = self.created.entry(key).or_insert_with(|| json!({}));
            written["metadata"]["finalizers"] = finalizers.clone();
        }
        let Some(renamed) = renamed else {
            return Ok(answer);
        };
        let created: Vec<_> = self
            .created
            .keys()
            .filter(|(of, _)| of == id)
            .cloned()
            .collect();
        for key in created {
            let entries = renamed.as_array().into_iter().flatten();
            let mut updates = entries
                .filter(|entry| entry["manager"] == *key.1 && entry["operation"] == "Update");
            let stays = updates.next().map(|entry| entry["fieldsV1"].clone());
            let finalizers = json!({ "f:metadata": { "f:finalizers": {} } });
            if stays.as_ref().is_some_and(|fields| *fields != finalizers) {
                continue;
            }
            let Some(mut body) = self.created.remove(&key) else {
                continue;
            };
            if stays.is_some() {
                let meta = body["metadata"].as_object_mut();
                let held = meta.and_then(|meta| meta.remove("finalizers"));
                let held = json!({ "metadata": { "finalizers": held } });
                self.created.insert(key.clone(), held);
            }
            let applied = (key.0, key.1, false);
            if let Some(more) = self.applied.get(&applied) {
                patch::merge(&mut body, more);
            }
            self.applied.insert(applied, body);
        }
        // Who owns a field is part of the object: it has another version now.
        let object = self.get(id).cloned().ok_or((404, "NotFound"))?;
        self.save("MODIFIED", id, object);
        self.shown(id).ok_or((404, "NotFound"))
    }

    /// Replaces an object by what `change` makes of it. `status` says which half may change.
    pub fn update(
        &mut self,
        id: &Id,
        status: bool,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, Refusal> {
        let Some(old) = self.objects.get(id).cloned() else {
            return Err((404, "NotFound"));
        };
        let mut new = old.clone();
        change(&mut new);
        if !meta_matches(&old, &new, "resourceVersion") {
            return Err((409, "Conflict"));
        }
        if !meta_matches(&old, &new, "uid") {
            // A change of an immutable field.
            return Err((422, "Invalid"));
        }
        if status {
            let now = new["status"].clone();
            new = old.clone();
            new["status"] = now;
        } else if id.group == "storefront.dev" || id.group == "gateway.networking.k8s.io" {
            new["status"] = old["status"].clone();
        }
        for field in [
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
        ] {
            new["metadata"][field] = old["metadata"][field].clone();
        }
        drop_nulls(&mut new);
        default(id, &mut new);
        if new == old {
            return Ok(old);
        }
        if old["immutable"] == true && new["data"] != old["data"] || is_invalid(id, &old, &new) {
            return Err((422, "Invalid"));
        }
        if new["spec"] != old["spec"] {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            new["metadata"]["generation"] = generation.into();
        }
        let is_free = new["metadata"]["finalizers"]
            .as_array()
            .is_none_or(Vec::is_empty);
        if is_free && new["metadata"]["deletionTimestamp"].is_string() {
            return Ok(self.remove(id));
        }
        Ok(self.save("MODIFIED", id, new))
    }

    /// Whether `body` would change a field that another manager applied.
    pub fn is_contested(&self, id: &Id, manager: &str, status: bool, body: &Value) -> bool {
        let Some(live) = self.objects.get(id) else {
            return false;
        };
        let mut others = self
            .applied
            .iter()
            .filter(|((of, by, half), _)| of == id && by != manager && *half == status);
        others.any(|(_, theirs)| differs(live, theirs, body))
    }

    pub fn apply(
        &mut self,
        id: &Id,
        manager: &str,
        status: bool,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let memory = (id.clone(), manager.to_owned(), status);
        let before = self.applied.get(&memory).cloned();
        let others: Vec<Value> = self
            .applied
            .iter()
            .filter(|((of, by, half), _)| of == id && by != manager && *half == status)
            .map(|(_, body)| body.clone())
            .collect();
        let answer = if self.objects.contains_key(id) {
            let created = self
                .created
                .iter()
                .filter(|((of, _), _)| of == id && !status);
            let created: Vec<Value> = created.map(|(_, body)| body.clone()).collect();
            let others: Vec<&Value> = others.iter().chain(&created).collect();
            self.update(id, status, |object| {
                patch::apply(object, before.as_ref(), &others, body);
            })?
        } else if status {
            return Err((404, "NotFound"));
        } else if body["metadata"]["uid"].is_string() {
            return Err((409, "Conflict"));
        } else {
            self.create(id, body.clone())?
        };
        self.applied.insert(memory, body.clone());
        Ok(answer)
    }

    /// From now on the pods of a workload are not ready, or are again.
    pub fn set_sick(&mut self, id: &Id, is_sick: bool) {
        if is_sick {
            self.sick.insert(id.clone());
        } else {
            self.sick.remove(id);
        }
        self.react(id);
    }

    /// From now on a workload makes no pods, or does again.
    pub fn set_podless(&mut self, id: &Id, is_podless: bool) {
        if is_podless {
            self.podless.insert(id.clone());
        } else {
            self.podless.remove(id);
        }
        self.react(id);
    }

    pub fn delete(&mut self, id: &Id, preconditions: &Value) -> Result<Value, Refusal> {
        let Some(object) = self.objects.get(id).cloned() else {
            return Err((404, "NotFound"));
        };
        for field in ["uid", "resourceVersion"] {
            if preconditions[field].is_string() && preconditions[field] != object["metadata"][field]
            {
                return Err((409, "Conflict"));
            }
        }
        let is_free = object["metadata"]["finalizers"]
            .as_array()
            .is_none_or(Vec::is_empty);
        if is_free {
            return Ok(self.remove(id));
        }
        if object["metadata"]["deletionTimestamp"].is_string() {
            return Ok(object);
        }
        let mut object = object;
        object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
        let generation = object["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        object["metadata"]["generation"] = generation.into();
        Ok(self.save("MODIFIED", id, object))
    }

    fn remove(&mut self, id: &Id) -> Value {
        let Some(mut object) = self.objects.remove(id) else {
            return Value::Null;
        };
        self.applied.retain(|(known, _, _), _| known != id);
        self.created.retain(|(known, _), _| known != id);
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let entry = Entry {
            version: self.version,
            kind: "DELETED",
            id: id.clone(),
            object: object.clone(),
        };
        self.history.push(entry);
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
        self.gone.insert(uid.to_owned());
        self.collect_garbage(uid);
        object
    }

    /// What a deleted owner leaves goes with it, at once.
    fn collect_garbage(&mut self, uid: &str) {
        let owned = |object: &Value| super::is_owned(object, |owner| owner == uid);
        let orphans: Vec<Id> = self
            .objects
            .iter()
            .filter(|(_, object)| owned(object))
            .map(|(id, _)| id.clone())
            .collect();
        for orphan in orphans {
            // One that holds a finalizer goes when it is released.
            drop(self.delete(&orphan, &Value::Null));
        }
    }

    fn save(&mut self, kind: &'static str, id: &Id, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(id.clone(), object.clone());
        let entry = Entry {
            version: self.version,
            kind,
            id: id.clone(),
            object: object.clone(),
        };
        self.history.push(entry);
        self.react(id);
        self.objects.get(id).cloned().unwrap_or(object)
    }

    /// What the rest of a cluster would do: pods become ready, Jobs end, Services get addresses, and
    /// the databases (whose controller is tested elsewhere) are made.
    fn react(&mut self, id: &Id) {
        let Some(object) = self.objects.get(id).cloned() else {
            return;
        };
        let meta = &object["metadata"];
        if meta["deletionTimestamp"].is_string() {
            return;
        }
        let generation = meta["generation"].clone();
        let image = &object["spec"]["template"]["spec"]["containers"][0]["image"];
        let is_missing = image.as_str().is_some_and(|image| image.ends_with(MISSING));
        if image.is_string() {
            self.make_pod(id, &object, is_missing);
        }
        let status = match id.resource.as_str() {
            "jobs" if is_missing => json!({ "active": 1, "ready": 0 }),
            "statefulsets" if self.podless.contains(id) => {
                json!({ "observedGeneration": generation, "replicas": 0 })
            }
            "deployments" | "statefulsets" if is_missing || self.sick.contains(id) => {
                json!({ "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1 })
            }
            "deployments" | "statefulsets" => {
                let count = object["spec"]["replicas"].as_i64().unwrap_or(1);
                json!({ "observedGeneration": generation, "replicas": count, "readyReplicas": count,
                    "updatedReplicas": count, "availableReplicas": count, "currentReplicas": count })
            }
            "jobs" => {
                json!({ "succeeded": 1, "conditions": [{ "type": "Complete", "status": "True" }] })
            }
            "databasebindings" => {
                self.make_secret(&object);
                json!({ "observedGeneration": generation,
                    "binding": { "name": format!("{}-db", id.name) },
                    "conditions": [{ "type": "Ready", "status": "True", "reason": "Ready", "message": "",
                        "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z" }] })
            }
            _ => return,
        };
        if object["status"] != status {
            drop(self.update(id, true, |object| object["status"] = status));
        }
    }

    /// A pod that cannot get its image stays; others are of no interest to anybody.
    fn make_pod(&mut self, id: &Id, owner: &Value, is_missing: bool) {
        let (kind, end, of) = match id.resource.as_str() {
            "deployments" => ("ReplicaSet", "5d9c-x7k2p", format!("{}-5d9c", id.name)),
            "statefulsets" => ("StatefulSet", "0", id.name.clone()),
            _ => ("Job", "q4z8t", id.name.clone()),
        };
        let pod = Id::new("", "pods", &id.namespace, &format!("{}-{end}", id.name));
        if !is_missing {
            drop(self.delete(&pod, &Value::Null));
            return;
        }
        let template = &owner["spec"]["template"];
        let mut labels = template["metadata"]["labels"].clone();
        if kind == "Job" {
            labels["batch.kubernetes.io/job-name"] = id.name.clone().into();
        }
        let container = &template["spec"]["containers"][0]["name"];
        let made = json!({ "apiVersion": "v1", "kind": "Pod",
            "metadata": { "labels": labels, "ownerReferences": [{ "apiVersion": "apps/v1",
                "kind": kind, "name": of, "uid": owner["metadata"]["uid"], "controller": true }] },
            "spec": template["spec"],
            "status": { "phase": "Pending", "containerStatuses": [{ "name": container,
                "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": {
                    "waiting": { "reason": "ErrImagePull", "message": "manifest unknown" } } }] } });
        drop(self.create(&pod, made));
    }

    fn make_secret(&mut self, binding: &Value) {
        let meta = &binding["metadata"];
        let (namespace, name) = (&meta["namespace"], &meta["name"]);
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = Id::new(
            "",
            "secrets",
            &word(namespace),
            &format!("{}-db", word(name)),
        );
        let secret = json!({ "apiVersion": "v1", "kind": "Secret",
            "metadata": { "labels": { "app.kubernetes.io/managed-by": "storefront-operator" },
                "ownerReferences": [{ "apiVersion": "storefront.dev/v1alpha1",
                "kind": "DatabaseBinding", "name": name, "uid": meta["uid"], "controller": true }] },
            "data": { "uri": "cG9zdGdyZXM6Ly94" } });
        drop(self.create(&id, secret));
    }
}
