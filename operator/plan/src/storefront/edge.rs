//! The shop's Gateway and its rate limits.

use std::collections::BTreeMap;

use crds::{OtherHosts, PolicyTargetRef, RateLimitPolicy, RateLimitPolicySpec};
use gateway_routes::api::{
    AllowedRoutes, GROUP, Gateway, GatewaySpec, Listener, ListenerTls, RouteNamespaces,
    SecretObjectReference,
};
use gateway_routes::settings::{HSTS, HTTPS_REDIRECT, OWN_ROUTES, TRUSTED_HOPS};

use super::{BUILT_IN_CLASS, Valid, catalogue, certificate};
use crate::{Objects, Planned, tracing::Collector};

/// Annotation of a Gateway with the release that its data plane runs.
pub(crate) const VERSION_ANNOTATION: &str = "storefront.dev/version";

/// Plans the rate limits and then the Gateway, so that it never serves without them.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    let limits = &valid.storefront.spec.gateway.rate_limits;
    if !limits.is_empty() {
        let mut policy = RateLimitPolicy::new(
            valid.name(),
            RateLimitPolicySpec {
                target_refs: vec![PolicyTargetRef {
                    group: GROUP.to_owned(),
                    kind: "Gateway".into(),
                    name: valid.name().to_owned(),
                    section_name: None,
                }],
                limits: limits.clone(),
            },
        );
        policy.metadata = valid.scope.meta(valid.name(), "gateway", valid.name());
        objects.apply(&policy);
    }
    objects.apply(&gateway(valid));
}

fn gateway(valid: &Valid) -> Gateway {
    let spec = &valid.storefront.spec;
    let mut listeners = Vec::new();
    for (index, host) in spec.hostnames.iter().enumerate() {
        listeners.push(listener(name("http", index), 80, Some(host), None));
    }
    if spec.gateway.other_hosts == OtherHosts::Accept {
        listeners.push(listener("http-any".into(), 80, None, None));
    }
    if let Some(secret) = certificate::secret(&valid.storefront) {
        for (index, host) in spec.hostnames.iter().enumerate() {
            listeners.push(listener(
                name("https", index),
                443,
                Some(host),
                Some(&secret),
            ));
        }
    }
    let mut gateway = Gateway::new(
        valid.name(),
        GatewaySpec {
            gateway_class_name: spec.gateway.class_name.clone(),
            listeners,
            ..GatewaySpec::default()
        },
    );
    gateway.metadata = valid.scope.meta(valid.name(), "gateway", valid.name());
    let mut annotations = certificate::annotations(&valid.storefront);
    annotations.insert(VERSION_ANNOTATION.to_owned(), valid.release.version.clone());
    if let Some(collector) = Collector::of(&valid.storefront) {
        annotations.extend(collector.annotations());
    }
    annotations.extend(settings(valid));
    gateway.metadata.annotations = Some(annotations);
    gateway
}

/// What the data plane of our own class reads from annotations.
fn settings(valid: &Valid) -> BTreeMap<String, String> {
    let spec = &valid.storefront.spec.gateway;
    let mut settings = BTreeMap::new();
    if spec.class_name != BUILT_IN_CLASS {
        return settings;
    }
    let own = catalogue::own_routes(valid.name());
    settings.insert(OWN_ROUTES.to_owned(), own.annotation());
    if spec.trusted_hops > 0 {
        settings.insert(TRUSTED_HOPS.to_owned(), spec.trusted_hops.to_string());
    }
    let Some(tls) = &spec.tls else {
        return settings;
    };
    if tls.redirect {
        settings.insert(HTTPS_REDIRECT.to_owned(), "true".to_owned());
    }
    if let Some(hsts) = &tls.hsts {
        let below = if hsts.include_subdomains {
            "; includeSubDomains"
        } else {
            ""
        };
        let value = format!("max-age={}{below}", hsts.max_age_secs);
        settings.insert(HSTS.to_owned(), value);
    }
    settings
}

fn name(scheme: &str, index: usize) -> String {
    if index == 0 {
        scheme.to_owned()
    } else {
        format!("{scheme}-{}", index + 1)
    }
}

/// A listener for one host, or for every host that has no listener of its own; with a Secret it
/// terminates TLS.
fn listener(name: String, port: u16, host: Option<&String>, secret: Option<&str>) -> Listener {
    Listener {
        name,
        hostname: host.cloned(),
        port,
        protocol: if secret.is_some() { "HTTPS" } else { "HTTP" }.to_owned(),
        tls: secret.map(|secret| ListenerTls {
            mode: Some("Terminate".into()),
            certificate_refs: Some(vec![SecretObjectReference {
                group: Some(String::new()),
                kind: Some("Secret".into()),
                name: secret.to_owned(),
                namespace: None,
            }]),
            ..ListenerTls::default()
        }),
        allowed_routes: Some(AllowedRoutes {
            namespaces: Some(RouteNamespaces {
                from: Some("Same".into()),
                selector: None,
            }),
            kinds: None,
        }),
        ..Listener::default()
    }
}
