//! The certificates of a Gateway: what the Secrets that it names hold, and the last good ones.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_routes::api::Gateway;
use gateway_routes::certificate::{Data, Validity, keep, kept_pairs, kept_secret};
use gateway_routes::{CertificateState, ObjectName, certificate_names};
use kube::ResourceExt;
use kube_cache::Key;

use crate::context::Context;
use crate::error::Error;
use crate::next::Next;

/// A certificate that becomes valid or expires later than this is seen by a routine look.
const SOON: Duration = Duration::from_secs(600);

/// What is known of the certificates of a Gateway.
#[derive(Default)]
pub struct Certificates {
    /// The Secrets of its namespace that it names.
    pub named: Vec<Key>,
    /// The Secret with the last good ones, where the Gateway has HTTPS listeners.
    pub own: Option<Key>,
    /// What that Secret is to hold.
    pub kept: Data,
    /// Named Secrets that exist and hold no certificate: none of the data plane's business.
    pub foreign: BTreeSet<String>,
    validities: BTreeMap<String, Validity>,
    states: Vec<CertificateState>,
}

impl Certificates {
    /// Reads; writes nothing.
    pub async fn observe(ctx: &Context, gateway: &Gateway) -> Result<Self, Error> {
        let namespace = gateway.namespace().unwrap_or_default();
        let named: Vec<Key> = certificate_names(gateway)
            .into_iter()
            .filter(|name| name.namespace == namespace)
            .map(|name| Key::new(name.namespace, name.name))
            .collect();
        let own = kept_secret(&gateway.name_any()).filter(|_| !named.is_empty());
        let Some(own) = own.map(|name| Key::new(namespace, name)) else {
            return Ok(Self {
                named,
                ..Self::default()
            });
        };
        let before = ctx.secrets.own(&own).await?.unwrap_or_default();
        let (mut current, mut foreign, mut states) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        for key in &named {
            let Some(state) = ctx.secrets.certificate(key).await? else {
                continue;
            };
            match state {
                CertificateState::NoCertificate => {
                    foreign.insert(key.name.clone());
                }
                CertificateState::Usable(..) => {
                    if let Some(data) = ctx.secrets.named(key).await? {
                        current.insert(key.name.clone(), data);
                    }
                }
                CertificateState::Malformed(_) => {}
            }
            states.push(state);
        }
        let kept = keep(gateway, &current, &before, ctx.now());
        let parts = kept
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()));
        let validities = kept_pairs(parts)
            .into_iter()
            .map(|(listener, pair)| (listener, pair.validity));
        Ok(Self {
            validities: validities.collect(),
            named,
            own: Some(own),
            kept,
            foreign,
            states,
        })
    }

    /// The last good certificates, for [`gateway_routes::Objects`].
    pub fn last_good(&self, gateway: &Gateway) -> BTreeMap<(ObjectName, String), Validity> {
        let name = ObjectName::of(gateway);
        let all = self.validities.iter();
        all.map(|(listener, validity)| ((name.clone(), listener.clone()), *validity))
            .collect()
    }

    /// When to look again although nothing changes, because a certificate becomes valid or expires.
    pub fn next(&self, ctx: &Context) -> Next {
        let now = ctx.now();
        let own = self.states.iter().filter_map(|state| match state {
            CertificateState::Usable(validity, _) => Some(validity),
            _ => None,
        });
        let turns = own.chain(self.validities.values());
        let soonest = turns.filter_map(|validity| validity.turn(now)).min();
        let soonest = soonest.and_then(|turn| Duration::try_from(turn).ok());
        match soonest.filter(|turn| *turn <= SOON) {
            Some(turn) => Next::Requeue(turn),
            None => Next::AwaitChange,
        }
    }
}
