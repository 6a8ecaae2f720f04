//! Which listeners of a gateway can be served, and why not.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::{GROUP, Gateway, Listener, RouteGroupKind, SecretObjectReference};
use crate::certificate::{CertificateState, Hosts, Validity};
use crate::hostname::Pattern;
use crate::objects::{Objects, Scope};
use crate::verdict::Verdict;
use crate::{ObjectName, grant, unsupported};

/// The port on which the data plane answers health checks; no listener may take it.
pub const ADMIN_PORT: u16 = 9090;

/// The port that the data plane binds for a listener: it runs without privileges, so ports below
/// 1024 are moved up by 10000 and the gateway's Service maps them back.
pub fn container_port(port: u16) -> u16 {
    if port < 1024 { port + 10_000 } else { port }
}

/// A listener and its verdicts.
#[derive(Debug)]
pub(crate) struct ListenerView<'a> {
    pub listener: &'a Listener,
    pub hostname: Pattern,
    pub accepted: Verdict,
    pub conflicted: Option<Verdict>,
    pub resolved: Verdict,
    pub kinds: Vec<RouteGroupKind>,
    pub certificates: Vec<ObjectName>,
    /// Validity of the last good certificate, where there was one.
    pub kept: Option<Validity>,
}

impl ListenerView<'_> {
    pub fn is_tls(&self) -> bool {
        self.listener.protocol == "HTTPS"
    }

    /// Whether routes may attach: references may still be missing.
    pub fn is_valid(&self) -> bool {
        self.accepted.ok && self.conflicted.is_none()
    }

    /// Whether the data plane can bind it.
    pub fn is_servable(&self) -> bool {
        let has_certificate = !self.certificates.is_empty() || self.kept.is_some();
        self.is_valid() && (!self.is_tls() || has_certificate)
    }
}

/// Checks all listeners of a gateway, in the order of the spec. With `now`, certificates must be valid then;
/// which of them are served does not depend on it.
pub(crate) fn view<'a>(
    gateway: &'a Gateway,
    objects: &Objects,
    now: Option<Timestamp>,
) -> Vec<ListenerView<'a>> {
    let all = &gateway.spec.listeners;
    all.iter()
        .enumerate()
        .map(|(index, listener)| {
            let (kinds, kinds_resolved) = supported_kinds(listener);
            let kept = kept(gateway, listener, objects);
            let look = Look { objects, kept, now };
            let (certificates, certificates_resolved) = certificates(gateway, listener, look);
            ListenerView {
                listener,
                hostname: Pattern::parse(listener.hostname.as_deref()),
                accepted: accept(gateway, index),
                conflicted: conflict(all, index),
                resolved: if certificates_resolved.ok {
                    kinds_resolved
                } else {
                    certificates_resolved
                },
                kinds,
                certificates,
                kept,
            }
        })
        .collect()
}

/// What the certificates of a listener are checked against.
#[derive(Clone, Copy)]
struct Look<'a> {
    objects: &'a Objects,
    kept: Option<Validity>,
    now: Option<Timestamp>,
}

fn kept(gateway: &Gateway, listener: &Listener, objects: &Objects) -> Option<Validity> {
    let key = (ObjectName::of(gateway), listener.name.clone());
    objects.kept_certificates.get(&key).copied()
}

fn accept(gateway: &Gateway, index: usize) -> Verdict {
    let all = &gateway.spec.listeners;
    let listener = &all[index];
    let honoured =
        unsupported::of_gateway(gateway).and_then(|()| unsupported::of_listener(listener));
    if let Err(why) = honoured {
        return Verdict::no("UnsupportedValue", why);
    }
    if !is_supported(listener) {
        let why = format!(
            "protocol {} is not supported: use HTTP or HTTPS",
            listener.protocol
        );
        return Verdict::no("UnsupportedProtocol", why);
    }
    if listener
        .tls
        .as_ref()
        .and_then(|tls| tls.mode.as_deref())
        .unwrap_or("Terminate")
        != "Terminate"
    {
        return Verdict::no("UnsupportedProtocol", "TLS mode must be Terminate");
    }
    let bound = container_port(listener.port);
    if listener.port == 0 || bound == ADMIN_PORT {
        return Verdict::no(
            "PortUnavailable",
            format!("port {} is reserved", listener.port),
        );
    }
    let taken = all[..index].iter().find(|earlier| {
        is_supported(earlier)
            && earlier.port != listener.port
            && container_port(earlier.port) == bound
    });
    if let Some(earlier) = taken {
        let why = format!(
            "port {} is bound for listener {}",
            listener.port, earlier.name
        );
        return Verdict::no("PortUnavailable", why);
    }
    Verdict::yes("Accepted", "The listener is valid")
}

fn is_supported(listener: &Listener) -> bool {
    matches!(listener.protocol.as_str(), "HTTP" | "HTTPS")
}

fn conflict(all: &[Listener], index: usize) -> Option<Verdict> {
    let listener = &all[index];
    let others = || {
        all.iter()
            .enumerate()
            .filter(|(other, candidate)| *other != index && candidate.port == listener.port)
            .map(|(_, candidate)| candidate)
    };
    if let Some(other) = others().find(|other| other.protocol != listener.protocol) {
        let why = format!(
            "listener {} uses port {} for {}",
            other.name, other.port, other.protocol
        );
        return Some(Verdict::no("ProtocolConflict", why));
    }
    let own = Pattern::parse(listener.hostname.as_deref());
    others()
        .find(|other| Pattern::parse(other.hostname.as_deref()) == own)
        .map(|other| {
            let why = format!("listener {} has the same port and hostname", other.name);
            Verdict::no("HostnameConflict", why)
        })
}

fn supported_kinds(listener: &Listener) -> (Vec<RouteGroupKind>, Verdict) {
    let resolved = Verdict::yes("ResolvedRefs", "All references are resolved");
    let http_route = RouteGroupKind {
        group: Some(GROUP.to_owned()),
        kind: "HTTPRoute".to_owned(),
    };
    if !is_supported(listener) {
        return (Vec::new(), resolved);
    }
    let wanted = listener
        .allowed_routes
        .as_ref()
        .and_then(|allowed| allowed.kinds.as_deref());
    let Some(wanted) = wanted.filter(|kinds| !kinds.is_empty()) else {
        return (vec![http_route], resolved);
    };
    let is_http_route = |kind: &&RouteGroupKind| {
        kind.group.as_deref().unwrap_or(GROUP) == GROUP && kind.kind == "HTTPRoute"
    };
    let kinds = if wanted.iter().any(|kind| is_http_route(&kind)) {
        vec![http_route]
    } else {
        Vec::new()
    };
    let Some(odd) = wanted.iter().find(|kind| !is_http_route(kind)) else {
        return (kinds, resolved);
    };
    let why = format!(
        "routes of kind {} are not supported: only HTTPRoute is",
        odd.kind
    );
    (kinds, Verdict::no("InvalidRouteKinds", why))
}

fn certificates(
    gateway: &Gateway,
    listener: &Listener,
    look: Look<'_>,
) -> (Vec<ObjectName>, Verdict) {
    let resolved = || Verdict::yes("ResolvedRefs", "All references are resolved");
    if listener.protocol != "HTTPS" {
        return (Vec::new(), resolved());
    }
    let refs = listener
        .tls
        .as_ref()
        .and_then(|tls| tls.certificate_refs.as_deref())
        .unwrap_or_default();
    let (mut usable, mut is_good) = (Vec::new(), false);
    let (mut is_covered, mut uncovered) = (false, None);
    let mut problem = refs.is_empty().then(|| {
        Verdict::no(
            "InvalidCertificateRef",
            "tls.certificateRefs names no Secret",
        )
    });
    for reference in refs {
        match certificate(gateway, reference, look.objects) {
            Ok((name, validity, hosts)) => {
                let why = look.now.and_then(|now| validity.problem(now));
                is_good |= why.is_none();
                let odd = hosts.problem(listener.hostname.as_deref());
                is_covered |= odd.is_none();
                uncovered = uncovered.or(odd.map(|why| format!("Secret {name}: {why}")));
                let why = why.map(|why| {
                    Verdict::no("InvalidCertificateRef", format!("Secret {name}: {why}"))
                });
                problem = problem.or(why);
                usable.push(name);
            }
            Err(why) => problem = problem.or(Some(why)),
        }
    }
    let verdict = match problem {
        Some(why) if !is_good => served_instead(why, !usable.is_empty(), look),
        Some(why) => why,
        // It is served all the same: another name is no reason to go on with an older certificate.
        None => match uncovered.filter(|_| !is_covered) {
            Some(why) => Verdict::no("InvalidCertificateRef", why),
            None => resolved(),
        },
    };
    (usable, verdict)
}

/// Adds what is served where no certificate of a listener is good.
fn served_instead(why: Verdict, has_own: bool, look: Look<'_>) -> Verdict {
    let lasts = |kept: Validity| look.now.is_none_or(|now| kept.holds(now));
    let instead = match look.kept {
        Some(kept) if lasts(kept) => format!(
            "the last good certificate, valid until {}, is served until this is mended",
            kept.not_after
        ),
        _ if has_own => "it is served all the same, for want of a valid one".to_owned(),
        Some(kept) => format!(
            "the last good certificate, which expired at {}, is served for want of a valid one",
            kept.not_after
        ),
        None => return why,
    };
    Verdict::no(why.reason, format!("{}; {instead}", why.message))
}

fn certificate(
    gateway: &Gateway,
    reference: &SecretObjectReference,
    objects: &Objects,
) -> Result<(ObjectName, Validity, Hosts), Verdict> {
    let invalid = |why: String| Err(Verdict::no("InvalidCertificateRef", why));
    if !reference.is_secret() {
        return invalid(format!("certificate {} is not a Secret", reference.name));
    }
    let name = certificate_name(gateway, reference);
    let home = gateway.metadata.namespace.clone().unwrap_or_default();
    if name.namespace != home {
        let pointer = grant::Pointer {
            group: GROUP,
            kind: "Gateway",
            namespace: &home,
        };
        let allowed = objects.scope == Scope::Cluster
            && grant::allows(objects, &pointer, &grant::Target::core("Secret", &name));
        if !allowed {
            let why = format!("no ReferenceGrant lets this Gateway use Secret {name}");
            return Err(Verdict::no("RefNotPermitted", why));
        }
    }
    match objects.certificates.get(&name) {
        Some(CertificateState::Usable(validity, hosts)) => Ok((name, *validity, hosts.clone())),
        Some(CertificateState::Malformed(why)) => invalid(format!("Secret {name}: {why}")),
        Some(CertificateState::NoCertificate) => invalid(format!(
            "Secret {name} holds no certificate: tls.crt and tls.key are missing"
        )),
        None => invalid(format!("Secret {name} does not exist")),
    }
}

fn certificate_name(gateway: &Gateway, reference: &SecretObjectReference) -> ObjectName {
    let home = gateway.metadata.namespace.clone().unwrap_or_default();
    ObjectName::new(
        reference.namespace.clone().unwrap_or(home),
        reference.name.clone(),
    )
}

/// Why the certificates of listeners cannot be used at `now`, by listener: what a data plane tells of itself, in the
/// words of the listener's condition.
pub fn certificate_problems(
    objects: &Objects,
    gateway: &ObjectName,
    now: Timestamp,
) -> BTreeMap<String, String> {
    let mut all = objects.gateways.iter();
    let Some(gateway) = all.find(|it| ObjectName::of(&***it) == *gateway) else {
        return BTreeMap::new();
    };
    let listeners = gateway.spec.listeners.iter();
    let problem = |listener: &Listener| {
        let kept = kept(gateway, listener, objects);
        let look = Look {
            objects,
            kept,
            now: Some(now),
        };
        let (_, verdict) = certificates(gateway, listener, look);
        (!verdict.ok).then(|| (listener.name.clone(), verdict.message))
    };
    listeners.filter_map(problem).collect()
}

/// The Secrets that the listeners of a gateway name, whether or not they exist: those to be watched, and to be
/// named in the data plane's Role.
pub fn certificate_names(gateway: &Gateway) -> Vec<ObjectName> {
    let mut names: Vec<_> = gateway
        .spec
        .listeners
        .iter()
        .filter(|listener| listener.protocol == "HTTPS")
        .filter_map(|listener| listener.tls.as_ref()?.certificate_refs.as_deref())
        .flatten()
        .filter(|reference| reference.is_secret())
        .map(|reference| certificate_name(gateway, reference))
        .collect();
    names.sort();
    names.dedup();
    names
}
