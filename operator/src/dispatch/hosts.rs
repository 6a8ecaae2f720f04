//! Shops that have a hostname of a shop that changed.

use crds::Storefront;
use kube_cache::{Cached, Change, Full};
use operator_plan::storefront::share_a_host;

use super::Queues;
use super::change::{objects, priority};
use crate::caches::Caches;
use crate::controller::DEBOUNCE;

impl Queues {
    /// Shops that share a hostname with one that came, went or has other hostnames now.
    pub(super) fn sharers(&self, caches: &Caches, change: &Change<Full<Storefront>>) {
        let about = objects(change);
        let hosts = |shop: &Full<Storefront>| (shop.0.spec.hostnames.clone(), is_ending(&shop.0));
        if about
            .windows(2)
            .all(|pair| hosts(pair[0]) == hosts(pair[1]))
            && about.len() > 1
        {
            return;
        }
        for other in caches.storefronts.store.all() {
            if about.iter().any(|shop| share_a_host(&shop.0, &other.0)) {
                self.storefronts
                    .add_after(other.key(), DEBOUNCE, priority(change));
            }
        }
    }
}

fn is_ending(shop: &Storefront) -> bool {
    shop.metadata.deletion_timestamp.is_some()
}
