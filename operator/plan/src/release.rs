//! The release that a shop runs: the images of its pods, and the templates that they are made from.
//!
//! ## Who moves it
//! A release is known by its number. A shop keeps the one that its status records; it takes that of the operator once
//! its spec says so: `spec.version` with the number, or `spec.update: Automatic`. So an operator of another number
//! changes no pods, and still puts right what somebody else changed in them.
//!
//! The choice follows from the Storefront's spec and status alone. All reconciliations agree on it therefore, and one
//! that was killed decides the same again.
//!
//! ## Changing a template
//! What a newer operator would change in pods that exist is a [`Change`] in [`CHANGES`], and the template has both
//! forms: `if release.has(&CHANGE) { new } else { old }`. The old one goes two releases later. A shop whose status has
//! no revision is at the oldest one that is known.

use crds::{ReleaseImages, Storefront, StorefrontStatus, storefront::Update};

use crate::verdict::{Platform, reference};

/// Revision of the templates of which all forms are known.
const OLDEST: i32 = 1;

/// A change of templates.
pub(crate) struct Change {
    /// The revision that it came with.
    revision: i32,
    /// Whose pods are replaced.
    part: &'static str,
    what: &'static str,
    why: &'static str,
}

/// Every change since [`OLDEST`].
const CHANGES: &[Change] = &[];

/// One more change, of an operator that rehearses an update. Its revision is above those of releases.
pub(crate) const REHEARSAL: Change = Change {
    revision: 1_000,
    part: "services",
    what: "the annotation storefront.dev/rehearsal on their pods",
    why: "the operator rehearses an update",
};

fn changes(platform: &Platform) -> impl Iterator<Item = &'static Change> {
    let rehearsal = platform.rehearses.then_some(&REHEARSAL);
    CHANGES.iter().chain(rehearsal)
}

/// The newest revision of the templates that an operator can make.
fn newest(platform: &Platform) -> i32 {
    let revisions = changes(platform).map(|change| change.revision);
    revisions.max().unwrap_or(OLDEST)
}

/// The release that a shop runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its number.
    pub version: String,
    /// Revision of its templates.
    pub templates: i32,
    /// Where its images are.
    pub images: ReleaseImages,
}

impl Release {
    /// The newest, that of the operator.
    pub(crate) fn of_operator(platform: &Platform) -> Self {
        Self {
            version: platform.version.clone(),
            templates: newest(platform),
            images: platform.images(&platform.version),
        }
    }

    /// That which the pods of a shop should be of.
    pub(crate) fn of(shop: &Storefront, platform: &Platform) -> Self {
        let status = shop.status.as_ref();
        let known = status.and_then(|status| status.version.as_deref());
        let newest = || &*platform.version;
        let followed = (shop.spec.update == Update::Automatic)
            .then(newest)
            .filter(|newest| known.is_none_or(|known| !is_older(newest, known)));
        let wanted = shop.spec.version.as_deref().or(followed).or(known);
        Self::called(wanted.unwrap_or(newest()), status, platform)
    }

    /// That which the backing servers of a shop run. The one that is wanted follows once its images are known to
    /// start.
    pub(crate) fn running(shop: &Storefront, platform: &Platform) -> Self {
        let status = shop.status.as_ref();
        match status.and_then(|status| status.version.as_deref()) {
            Some(running) => Self::called(running, status, platform),
            None => Self::of(shop, platform),
        }
    }

    fn called(version: &str, status: Option<&StorefrontStatus>, platform: &Platform) -> Self {
        if version == platform.version {
            return Self::of_operator(platform);
        }
        let status = status.filter(|status| status.version.is_some());
        let images = status
            .filter(|status| status.version.as_deref() == Some(version))
            .and_then(|status| status.images.clone());
        let newest = newest(platform);
        Self {
            version: version.to_owned(),
            // A new shop has nothing that could be replaced.
            templates: status.map_or(newest, |status| {
                status.templates.unwrap_or(OLDEST).min(newest)
            }),
            images: images.unwrap_or_else(|| platform.images(version)),
        }
    }

    /// The image `name` of this release.
    pub(crate) fn image(&self, name: &str) -> String {
        reference(&self.images, name)
    }

    /// Whether its templates have this change.
    pub(crate) fn has(&self, change: &Change) -> bool {
        self.templates >= change.revision
    }

    /// What the operator's release would change in the pods of a shop of this one; `None` where it is not newer.
    pub(crate) fn update(&self, platform: &Platform) -> Option<String> {
        let offered = Self::of_operator(platform);
        if offered.version == self.version || is_older(&offered.version, &self.version) {
            return None;
        }
        let images = (offered.images != self.images).then(|| {
            let (new, old) = (describe(&offered.images), describe(&self.images));
            format!("all parts: images {new} in place of {old}, because each release has its own")
        });
        let changes = changes(platform).filter(|change| !self.has(change));
        let changes = changes.map(
            |Change {
                 part, what, why, ..
             }| format!("{part}: {what}, because {why}"),
        );
        let all: Vec<String> = images.into_iter().chain(changes).collect();
        Some(if all.is_empty() {
            "no pods".to_owned()
        } else {
            all.join("; ")
        })
    }
}

fn describe(images: &ReleaseImages) -> String {
    let ReleaseImages {
        registry,
        tag,
        digests,
    } = images;
    match digests.len() {
        0 => format!("{registry}/*:{tag}"),
        count => format!("{registry}/*:{tag} ({count} by digest)"),
    }
}

/// Whether a release is known to be older than another: of both the first three numbers can be read.
fn is_older(version: &str, than: &str) -> bool {
    numbers(version)
        .zip(numbers(than))
        .is_some_and(|(version, than)| version < than)
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let core = version.split(['-', '+']).next()?;
    let parts: Result<Vec<u64>, _> = core.split('.').map(str::parse).collect();
    parts.ok().filter(|parts| parts.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_grow_and_stay_below_that_of_a_rehearsal() {
        let revisions: Vec<i32> = CHANGES.iter().map(|change| change.revision).collect();
        assert!(revisions.is_sorted());
        assert!(
            revisions
                .iter()
                .all(|it| (OLDEST + 1..REHEARSAL.revision).contains(it))
        );
    }

    #[test]
    fn a_release_is_older_where_both_numbers_say_so() {
        assert!(is_older("1.9.0", "1.10.0"));
        assert!(is_older("v1.0.0", "1.0.1-rc.1"));
        for (version, than) in [
            ("1.0.0", "1.0.0"),
            ("1.1.0", "1.0.9"),
            ("main", "1.0.0"),
            ("1.0.0", "main"),
            ("1.0", "1.0.1"),
        ] {
            assert!(!is_older(version, than), "{version} {than}");
        }
    }
}
