//! Policies, and which of them govern a rule.

use std::collections::HashMap;
use std::sync::Arc;

use crds::{JwtMode, JwtPolicy, PolicyTargetRef, RateLimitPolicy, is_reserved_header};
use http::{HeaderName, Method, Uri};

use crate::ObjectName;
use crate::api::GROUP;
use crate::objects::Objects;
use crate::own::OwnRoutes;
use crate::path;

/// Which callers a rule lets through.
#[derive(Clone, Debug)]
pub enum Guard {
    /// Callers with a good token.
    Jwt(Arc<JwtSettings>),
    /// Nobody: the policy of this name is invalid, and failing open is not an option.
    Refuse(ObjectName),
}

/// A JWT policy, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtSettings {
    /// The policy.
    pub policy: ObjectName,
    /// The `iss` that is trusted.
    pub issuer: String,
    /// The `aud` must hold one of these; empty means any.
    pub audiences: Vec<String>,
    /// URI of the key set.
    pub jwks_uri: String,
    /// Whether a request without a token is refused.
    pub is_required: bool,
    /// The caller must have one of these; empty means any caller.
    pub roles: Vec<String>,
    /// Claims to pass to backends, and the headers for them.
    pub claim_to_headers: Vec<(String, HeaderName)>,
}

impl JwtSettings {
    pub(crate) fn read(policy: &JwtPolicy) -> Result<Self, String> {
        let spec = &policy.spec;
        let uri: Uri = spec
            .jwks_uri
            .parse()
            .map_err(|_| "spec.jwksUri is not a URI".to_owned())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err("spec.jwksUri must be an http or https URI".to_owned());
        }
        if spec.issuer.is_empty() {
            return Err("spec.issuer is empty".to_owned());
        }
        let claim_to_headers = spec
            .claim_to_headers
            .iter()
            .map(|entry| Ok((entry.claim.clone(), identity_header(&entry.header)?)))
            .collect::<Result<_, String>>()?;
        Ok(Self {
            policy: ObjectName::of(policy),
            issuer: spec.issuer.clone(),
            audiences: spec.audiences.clone(),
            jwks_uri: spec.jwks_uri.clone(),
            is_required: spec.mode == JwtMode::Required,
            roles: spec.roles.clone(),
            claim_to_headers,
        })
    }
}

/// As what a data plane reports that it cannot fetch a key set again whose keys it has.
pub fn refresh_of(jwks_uri: &str) -> String {
    format!("refresh of {jwks_uri}")
}

/// The Service of the policy's own namespace that its key set comes from, if it is one: `name.namespace.svc` with
/// or without the domain of the cluster.
pub(crate) fn key_service(settings: &JwtSettings) -> Option<ObjectName> {
    let uri: Uri = settings.jwks_uri.parse().ok()?;
    let mut labels = uri.host()?.splitn(4, '.');
    let (name, namespace, svc) = (labels.next()?, labels.next()?, labels.next()?);
    let is_local = svc == "svc" && namespace == settings.policy.namespace;
    is_local.then(|| ObjectName::new(namespace, name))
}

/// Refuses headers that a message is framed, routed, trusted or acted on by. The definition does so too, and objects
/// may be older.
fn identity_header(name: &str) -> Result<HeaderName, String> {
    let field = format!("spec.claimToHeaders: header {name:?}");
    if is_reserved_header(name) {
        return Err(format!(
            "{field} cannot carry a claim, because the gateway or services trust or act on it; choose a name of your \
             own, such as X-User-Id"
        ));
    }
    name.parse::<HeaderName>()
        .map_err(|_| format!("{field} is not the name of a header"))
}

/// One limit of a rate limit policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// `namespace/policy#index`: the same after changes of the policy, so that counts survive them.
    pub id: Box<str>,
    /// Name for the `RateLimit` headers.
    pub name: Box<str>,
    /// Prefix of the path, in whole segments.
    pub path: Option<Box<str>>,
    /// Method of the requests.
    pub method: Option<Method>,
    /// Requests per window.
    pub requests: u32,
    /// Length of the window.
    pub window_secs: u32,
}

impl Limit {
    /// Whether a request is counted.
    pub fn covers(&self, method: &Method, path: &str) -> bool {
        self.method.as_ref().is_none_or(|own| own == method)
            && self.path.as_ref().is_none_or(|prefix| {
                path.strip_prefix(&**prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    }

    pub(crate) fn read_all(policy: &RateLimitPolicy) -> Result<Vec<Arc<Self>>, String> {
        let owner = ObjectName::of(policy);
        let read = |(index, source): (usize, &crds::RateLimit)| {
            let window_secs = source.window_secs().ok_or_else(|| {
                format!("limits[{index}].window {:?} is not a window", source.window)
            })?;
            let requests = u32::try_from(source.requests)
                .ok()
                .filter(|requests| *requests > 0)
                .ok_or_else(|| format!("limits[{index}].requests must be above zero"))?;
            let method = source.method.as_deref().map(str::parse).transpose();
            let path = source.path.as_deref().map(path::read).transpose();
            let path = path.map_err(|why| format!("limits[{index}]: {why}"))?;
            Ok(Arc::new(Self {
                id: format!("{owner}#{index}").into(),
                name: format!("{}-{index}", owner.name).into(),
                path: path.map(|path| path.trim_end_matches('/').into()),
                method: method.map_err(|_| format!("limits[{index}].method is not a method"))?,
                requests,
                window_secs,
            }))
        };
        policy.spec.limits.iter().enumerate().map(read).collect()
    }
}

/// The place of a rule in a gateway.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub gateway: &'a ObjectName,
    pub listener: &'a str,
    pub route: &'a ObjectName,
    pub rule: Option<&'a str>,
}

/// Policies by target.
pub(crate) struct Policies<'a> {
    jwt: HashMap<Target, Vec<(Age, &'a JwtPolicy, Guard)>>,
    limits: HashMap<Target, Vec<Limits<'a>>>,
}

/// A rate limit policy and its limits.
type Limits<'a> = (&'a RateLimitPolicy, Vec<Arc<Limit>>);
type Age = (i64, String);
type Target = (bool, ObjectName, Option<String>);

impl<'a> Policies<'a> {
    pub fn new(objects: &'a Objects) -> Self {
        let mut all = Self {
            jwt: HashMap::new(),
            limits: HashMap::new(),
        };
        for policy in &objects.jwt_policies {
            let name = ObjectName::of(&**policy);
            let guard = match JwtSettings::read(policy) {
                Ok(settings) => Guard::Jwt(Arc::new(settings)),
                Err(_) => Guard::Refuse(name.clone()),
            };
            for target in targets(&name.namespace, &policy.spec.target_refs) {
                let entry = (age(&**policy), &**policy, guard.clone());
                all.jwt.entry(target).or_default().push(entry);
            }
        }
        all.jwt
            .values_mut()
            .for_each(|list| list.sort_by(|a, b| a.0.cmp(&b.0)));
        for policy in &objects.rate_limit_policies {
            let name = ObjectName::of(&**policy);
            let Ok(limits) = Limit::read_all(policy) else {
                continue;
            };
            for target in targets(&name.namespace, &policy.spec.target_refs) {
                let entry = (&**policy, limits.clone());
                all.limits.entry(target).or_default().push(entry);
            }
        }
        all
    }

    /// The most specific policy; of several as specific, the oldest.
    pub fn guard(&self, place: Place<'_>) -> Option<Guard> {
        levels(place).iter().find_map(|target| {
            self.jwt
                .get(target)?
                .first()
                .map(|(_, _, guard)| guard.clone())
        })
    }

    /// The policy of a shop's own route: that of the shop alone, which has the name of the route.
    pub fn own_guard(&self, route: &ObjectName, own: &OwnRoutes) -> Option<Guard> {
        let policies = self.jwt.get(&(true, route.clone(), None))?;
        let mut policies = policies.iter();
        policies
            .find(|(_, policy, _)| {
                policy.metadata.name.as_ref() == Some(&route.name) && own.has(*policy)
            })
            .map(|(_, _, guard)| guard.clone())
    }

    /// All limits of a place: they add up, because a narrow limit does not lift a wide one. Only policies that `counts`
    /// holds for do.
    pub fn limits(
        &self,
        place: Place<'_>,
        counts: impl Fn(&RateLimitPolicy) -> bool,
    ) -> Vec<Arc<Limit>> {
        let mut found: Vec<Arc<Limit>> = Vec::new();
        for limit in levels(place)
            .iter()
            .filter_map(|target| self.limits.get(target))
            .flatten()
            .filter(|(policy, _)| counts(policy))
            .flat_map(|(_, limits)| limits)
        {
            if found.iter().all(|known| known.id != limit.id) {
                found.push(limit.clone());
            }
        }
        found
    }

    /// The older policy that takes a target from `policy`, if any.
    pub fn rival(&self, policy: &JwtPolicy, target: &PolicyTargetRef) -> Option<ObjectName> {
        let namespace = policy.metadata.namespace.clone().unwrap_or_default();
        let key = targets(&namespace, std::slice::from_ref(target)).next()?;
        let (_, first, _) = self.jwt.get(&key)?.first()?;
        (first.metadata.name != policy.metadata.name).then(|| ObjectName::of(*first))
    }

    /// The headers that policies fill from claims.
    pub fn identity_headers(&self) -> Vec<HeaderName> {
        let mut names: Vec<HeaderName> = Vec::new();
        for (_, _, guard) in self.jwt.values().flatten() {
            let Guard::Jwt(settings) = guard else {
                continue;
            };
            for (_, name) in &settings.claim_to_headers {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names
    }
}

fn age<K: kube::Resource>(object: &K) -> Age {
    let created = object.meta().creation_timestamp.as_ref();
    let created = created.map_or(i64::MAX, |time| time.0.as_second());
    (created, object.meta().name.clone().unwrap_or_default())
}

fn targets(namespace: &str, refs: &[PolicyTargetRef]) -> impl Iterator<Item = Target> {
    refs.iter()
        .filter(|target| target.group == GROUP)
        .filter_map(move |target| {
            let is_route = match target.kind.as_str() {
                "HTTPRoute" => true,
                "Gateway" => false,
                _ => return None,
            };
            let name = ObjectName::new(namespace, target.name.clone());
            Some((is_route, name, target.section_name.clone()))
        })
}

/// Most specific first: rule, route, listener, gateway.
fn levels(place: Place<'_>) -> Vec<Target> {
    let mut levels = Vec::with_capacity(4);
    if let Some(rule) = place.rule {
        levels.push((true, place.route.clone(), Some(rule.to_owned())));
    }
    levels.push((true, place.route.clone(), None));
    levels.push((
        false,
        place.gateway.clone(),
        Some(place.listener.to_owned()),
    ));
    levels.push((false, place.gateway.clone(), None));
    levels
}
