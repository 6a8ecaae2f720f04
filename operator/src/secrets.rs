//! Secrets: watched by metadata, read when their version changed.
//!
//! Two kinds of watches show which version a Secret has: one with our label, which covers the Secrets
//! that the operator makes, and one by name for each Secret of a user that a spec names. Other Secrets
//! are never listed, watched or read.
//!
//! ## What is kept in memory
//! Of every Secret that was read: a checksum and whether it holds a usable certificate. Its content is
//! kept for [`KEPT`] after it was last used, so that the few dozen reconciliations in which a shop comes
//! up read each Secret once; after that it is dropped, but for the few bytes from which every routine
//! reconciliation of a workload is planned ([`Secrets::held`]). Content is never logged: [`Data`] has no place in
//! any message, and the types that hold it have no `Debug`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use gateway_routes::{CertificateState, inspect_certificate};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use kube_cache::{Cached, Callbacks, Change, Key, NamedWatches, OnChange};
use operator_plan::hash;
use operator_plan::service_deployment::is_mountable;
use tokio::time::Instant;

use crate::caches::Caches;
use crate::error::{Error, optional};
use crate::slim::Slim;

/// Decoded content of a Secret.
pub type Data = BTreeMap<String, Vec<u8>>;

/// How long content is kept after it was last used.
pub const KEPT: Duration = Duration::from_secs(60);
/// Secrets of users that are watched at the same time. Each watch is a connection; what is beyond this
/// is read at each reconciliation instead.
const MAX_NAMED: usize = 500;

type Named = NamedWatches<PartialObjectMeta<DynamicObject>, Slim>;

/// A reconciliation that depends on Secrets: kind and key of its object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subscriber {
    /// Kind of the object.
    pub kind: String,
    /// The object.
    pub key: Key,
}

/// Reads Secrets.
pub struct Secrets {
    client: Client,
    caches: Arc<Caches>,
    known: Mutex<HashMap<Key, Known>>,
    subscriptions: Mutex<Subscriptions>,
    named: Named,
    on_change: Arc<OnceLock<OnChange<Slim>>>,
}

/// What a workload that mounts a Secret has to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mountable {
    /// [`hash::of_secret`].
    pub checksum: String,
    /// Whether its owner lets services of teams mount it.
    pub is_granted: bool,
}

/// What is known of one version of a Secret.
struct Known {
    version: String,
    mountable: Mountable,
    certificate: CertificateState,
    content: Option<Content>,
}

struct Content {
    data: Arc<Data>,
    used: Instant,
    is_held: bool,
}

#[derive(Default)]
struct Subscriptions {
    by_secret: HashMap<Key, BTreeSet<Subscriber>>,
    by_subscriber: HashMap<Subscriber, BTreeSet<Key>>,
}

/// What the watches show of a Secret.
enum Seen {
    /// It has this version.
    Version(String),
    /// It does not exist, or is not ours where only ours are asked for.
    Absent,
    /// No watch covers it.
    Unknown,
}

impl Secrets {
    /// Nothing is known yet.
    pub fn new(client: Client, caches: Arc<Caches>) -> Self {
        let on_change: Arc<OnceLock<OnChange<Slim>>> = Arc::default();
        let told = Arc::clone(&on_change);
        let callbacks = Callbacks::on_change(move |change: &Change<Slim>| {
            if let Some(on_change) = told.get() {
                on_change(change);
            }
        });
        let watching = client.clone();
        let resource = ApiResource::erase::<Secret>(&());
        let api =
            move |namespace: &str| Api::namespaced_with(watching.clone(), namespace, &resource);
        Self {
            client,
            caches,
            known: Mutex::default(),
            subscriptions: Mutex::default(),
            named: NamedWatches::new("Secret", api, Slim::decode, callbacks),
            on_change,
        }
    }

    /// Sets the callback for changes of the Secrets that are watched by name; only the first call counts.
    pub fn on_change(&self, on_change: OnChange<Slim>) {
        drop(self.on_change.set(on_change));
    }

    /// Content of a Secret that the operator made; `None` when it does not exist.
    pub async fn own(&self, key: &Key) -> Result<Option<Arc<Data>>, Error> {
        match self.seen_own(key) {
            Seen::Absent => Ok(None),
            Seen::Unknown => self.content(key, None).await,
            Seen::Version(version) => self.content(key, Some(&version)).await,
        }
    }

    /// The same, and it stays in memory until the Secret changes: at rest nothing is read again. For small
    /// Secrets only.
    pub async fn held(&self, key: &Key) -> Result<Option<Arc<Data>>, Error> {
        let found = self.own(key).await?;
        let mut known = self.known();
        let content = known.get_mut(key).and_then(|known| known.content.as_mut());
        if let Some(content) = content {
            content.is_held = true;
        }
        Ok(found)
    }

    /// Content of a Secret that a spec names; `None` when it does not exist.
    pub async fn named(&self, key: &Key) -> Result<Option<Arc<Data>>, Error> {
        match self.seen(key) {
            Seen::Absent => Ok(None),
            Seen::Unknown => self.content(key, None).await,
            Seen::Version(version) => self.content(key, Some(&version)).await,
        }
    }

    /// What a workload that mounts a Secret has to know of it; `None` when it does not exist.
    pub async fn mountable(&self, key: &Key) -> Result<Option<Mountable>, Error> {
        self.fact(key, |known| known.mountable.clone()).await
    }

    /// Whether a Secret holds a certificate that can be used; `None` when it does not exist.
    pub async fn certificate(&self, key: &Key) -> Result<Option<CertificateState>, Error> {
        self.fact(key, |known| known.certificate.clone()).await
    }

    /// Takes the answer to a write of a Secret, which shows all of it.
    pub fn learn(&self, secret: &Secret) {
        self.keep(&Key::of(secret), secret);
    }

    /// Drops content that nobody has used for a while.
    pub fn drop_unused(&self) {
        for known in self.known().values_mut() {
            if known
                .content
                .as_ref()
                .is_some_and(|content| !content.is_held && content.used.elapsed() > KEPT)
            {
                known.content = None;
            }
        }
    }

    /// From now on `subscriber` depends on exactly these Secrets: those of our own making, and those that
    /// its spec names. The latter are watched by name, unless we made them.
    pub fn subscribe(&self, subscriber: &Subscriber, own: &[Key], named: &[Key]) {
        let dropped = {
            let all = own.iter().chain(named).cloned().collect();
            self.subscriptions().set(subscriber, all)
        };
        let ours = &self.caches.secrets.store;
        for key in named {
            if ours.get(key).is_some() {
                self.named.end(key);
            } else if ours.covers(key) && self.named.len() < MAX_NAMED {
                self.named.begin(key);
            }
        }
        for key in dropped {
            self.named.end(&key);
        }
    }

    /// Forgets a subscriber that is gone.
    pub fn unsubscribe(&self, subscriber: &Subscriber) {
        self.subscribe(subscriber, &[], &[]);
    }

    /// Who depends on a Secret.
    pub fn subscribers(&self, key: &Key) -> Vec<Subscriber> {
        let all = self.subscriptions();
        let found = all.by_secret.get(key);
        found
            .map(|found| found.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether every change of the subscriber's Secrets is watched.
    pub fn is_notified(&self, subscriber: &Subscriber) -> bool {
        let all = self.subscriptions();
        let mut keys = all.by_subscriber.get(subscriber).into_iter().flatten();
        let ours = &self.caches.secrets.store;
        keys.all(|key| ours.get(key).is_some() || self.named.is_live(key))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscriptions(&self) -> MutexGuard<'_, Subscriptions> {
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What the watch of our own Secrets shows. A Secret of that name without our label counts as absent:
    /// creating ours then fails, and the writer finds out whose it is.
    fn seen_own(&self, key: &Key) -> Seen {
        let store = &self.caches.secrets.store;
        match store.get(key) {
            Some(secret) => version(&secret),
            None if store.covers(key) => Seen::Absent,
            None => Seen::Unknown,
        }
    }

    fn seen(&self, key: &Key) -> Seen {
        if let Some(secret) = self.caches.secrets.store.get(key) {
            return version(&secret);
        }
        match self.named.store().get(key) {
            Some(secret) => version(&secret),
            None if self.named.is_live(key) => Seen::Absent,
            None => Seen::Unknown,
        }
    }

    async fn fact<T>(&self, key: &Key, fact: impl Fn(&Known) -> T) -> Result<Option<T>, Error> {
        let version = match self.seen(key) {
            Seen::Absent => return Ok(None),
            Seen::Unknown => None,
            Seen::Version(version) => Some(version),
        };
        if let Some(version) = version
            && let Some(known) = self.known().get(key)
            && known.version == version
        {
            return Ok(Some(fact(known)));
        }
        if !self.read(key).await? {
            return Ok(None);
        }
        Ok(self.known().get(key).map(fact))
    }

    async fn content(&self, key: &Key, version: Option<&str>) -> Result<Option<Arc<Data>>, Error> {
        if let Some(version) = version
            && let Some(data) = self.kept(key, version)
        {
            return Ok(Some(data));
        }
        if !self.read(key).await? {
            return Ok(None);
        }
        let known = self.known();
        let content = known.get(key).and_then(|known| known.content.as_ref());
        Ok(content.map(|content| Arc::clone(&content.data)))
    }

    fn kept(&self, key: &Key, version: &str) -> Option<Arc<Data>> {
        let mut known = self.known();
        let known = known
            .get_mut(key)
            .filter(|known| known.version == version)?;
        let content = known.content.as_mut()?;
        content.used = Instant::now();
        Some(Arc::clone(&content.data))
    }

    /// Reads a Secret from the API server. Returns whether it exists.
    async fn read(&self, key: &Key) -> Result<bool, Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &key.namespace);
        let found = optional(api.get(&key.name).await)
            .map_err(|source| Error::api("get", format!("Secret {key}"), source))?;
        if let Some(secret) = &found {
            self.keep(key, secret);
        } else {
            self.known().remove(key);
        }
        Ok(found.is_some())
    }

    fn keep(&self, key: &Key, secret: &Secret) {
        let data = secret.data.iter().flatten();
        let data: Data = data
            .map(|(name, value)| (name.clone(), value.0.clone()))
            .collect();
        let known = Known {
            version: secret.metadata.resource_version.clone().unwrap_or_default(),
            mountable: Mountable {
                checksum: hash::of_secret(secret),
                is_granted: is_mountable(&secret.metadata),
            },
            certificate: inspect_certificate(secret),
            content: Some(Content {
                data: Arc::new(data),
                used: Instant::now(),
                is_held: false,
            }),
        };
        let mut all = self.known();
        all.insert(key.clone(), known);
    }

    /// Forgets what was known of a Secret that is gone.
    pub fn forget(&self, key: &Key) {
        self.known().remove(key);
    }
}

impl Subscriptions {
    /// Returns the Secrets that nobody depends on any more.
    fn set(&mut self, subscriber: &Subscriber, wanted: BTreeSet<Key>) -> Vec<Key> {
        let before = if wanted.is_empty() {
            self.by_subscriber.remove(subscriber)
        } else {
            self.by_subscriber
                .insert(subscriber.clone(), wanted.clone())
        };
        let mut dropped = Vec::new();
        for key in before.unwrap_or_default() {
            if wanted.contains(&key) {
                continue;
            }
            let Some(subscribers) = self.by_secret.get_mut(&key) else {
                continue;
            };
            subscribers.remove(subscriber);
            if subscribers.is_empty() {
                self.by_secret.remove(&key);
                dropped.push(key);
            }
        }
        for key in wanted {
            self.by_secret
                .entry(key)
                .or_default()
                .insert(subscriber.clone());
        }
        dropped
    }
}

fn version(secret: &Slim) -> Seen {
    match secret.version() {
        Some(version) => Seen::Version(version.to_owned()),
        None => Seen::Unknown,
    }
}
