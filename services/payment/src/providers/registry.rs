//! Which methods this process knows, and which of them it offers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::manual::{self, Manual};
use super::{Method, Provider, Webhooks};

/// A configured method that this build has no provider for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("payment method {0:?} is not supported by this release; supported: manual")]
pub struct UnknownMethod(String);

struct Entry {
    provider: Arc<dyn Provider>,
    offered: bool,
}

/// The providers by method. A method that is not offered takes no new payment, and what was paid by it can still be captured,
/// voided and refunded.
#[derive(Default)]
pub struct Providers(BTreeMap<String, Entry>);

impl Providers {
    /// The providers of this release; the named methods are offered.
    pub fn offering(methods: &[String]) -> Result<Self, UnknownMethod> {
        let mut providers = Self::default().with(manual::NAME, Arc::new(Manual), false);
        for method in methods {
            let entry = providers.0.get_mut(method);
            entry.ok_or_else(|| UnknownMethod(method.clone()))?.offered = true;
        }
        Ok(providers)
    }

    /// The same with one more provider.
    #[must_use]
    pub fn with(mut self, method: &str, provider: Arc<dyn Provider>, offered: bool) -> Self {
        let entry = Entry { provider, offered };
        self.0.insert(method.to_owned(), entry);
        self
    }

    /// The provider of a method, whether it is offered or not.
    pub fn get(&self, method: &Method) -> Option<&dyn Provider> {
        self.0
            .get(method.as_str())
            .map(|entry| entry.provider.as_ref())
    }

    /// True if new payments can be made by this method.
    pub fn offers(&self, method: &Method) -> bool {
        self.0
            .get(method.as_str())
            .is_some_and(|entry| entry.offered)
    }

    /// The names of the offered methods.
    pub fn offered(&self) -> impl Iterator<Item = &str> {
        let offered = self.0.iter().filter(|(_, entry)| entry.offered);
        offered.map(|(name, _)| name.as_str())
    }

    /// True if a provider has to be called over the network.
    pub fn any_remote(&self) -> bool {
        self.0.values().any(|entry| !entry.provider.is_local())
    }

    /// Reads notifications of the provider of a method, if it sends any.
    pub fn webhooks(&self, method: &str) -> Option<&dyn Webhooks> {
        self.0.get(method)?.provider.webhooks()
    }

    /// True if any provider sends notifications.
    pub fn any_webhooks(&self) -> bool {
        self.0
            .values()
            .any(|entry| entry.provider.webhooks().is_some())
    }
}
