use crds::Storefront;

use super::{
    BUILT_IN_CLASS, Observed, Valid,
    needs::{needs, taken_secrets},
    references::missing,
};
use crate::{
    Invalid, Platform, Verdict, backing, objects::owner_of, pods::Scope, release::Release,
};

/// Whether the shop can be made. A missing Secret of the user does not stop the parts that have no use
/// for it: see [`Valid::missing`].
pub fn validate(storefront: &Storefront, seen: Observed, platform: &Platform) -> Verdict<Valid> {
    match check_spec(storefront) {
        Err(why) => Verdict::Invalid(why),
        Ok(()) => Verdict::Ready(for_deletion(storefront, seen, platform)),
    }
}

/// The Storefront as it is, valid or not: a deletion must end whatever else is wrong.
pub fn for_deletion(storefront: &Storefront, seen: Observed, platform: &Platform) -> Valid {
    let owner = owner_of(storefront);
    Valid {
        scope: Scope {
            namespace: storefront.metadata.namespace.clone().unwrap_or_default(),
            storefront: Some(owner.name.clone()),
            owner,
        },
        platform: platform.clone(),
        release: Release::of(storefront, platform),
        missing: missing(&storefront.spec, &seen.referenced),
        storefront: storefront.clone(),
        seen,
    }
}

pub(super) fn check_spec(storefront: &Storefront) -> Result<(), Invalid> {
    let spec = &storefront.spec;
    let name = storefront.metadata.name.as_deref().unwrap_or_default();
    if name.is_empty() || name.len() > 40 {
        return Err(Invalid::new(
            "NameTooLong",
            "metadata.name must have 1 to 40 characters; create a Storefront with a shorter name",
        ));
    }
    if spec.hostnames.is_empty() {
        return Err(Invalid::new(
            "HostnamesMissing",
            "spec.hostnames: name at least one host",
        ));
    }
    backing::check(spec)?;
    let ours = taken_secrets(storefront);
    let referenced = needs(storefront).referenced;
    if let Some(taken) = referenced.iter().find(|name| ours.contains(name)) {
        return Err(Invalid::new(
            "SecretNameTaken",
            format!(
                "spec: the Secret {taken} has a name that is reserved for the shop's own; give yours another name"
            ),
        ));
    }
    if spec.gateway.class_name != BUILT_IN_CLASS && !spec.gateway.rate_limits.is_empty() {
        return Err(Invalid::new(
            "RateLimitsUnsupported",
            format!(
                "spec.gateway.rateLimits: the class {} does not implement RateLimitPolicy; use className storefront or remove rateLimits",
                spec.gateway.class_name
            ),
        ));
    }
    Ok(())
}
