//! The CustomResourceDefinitions as files.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{DatabaseBinding, JwtPolicy, RateLimitPolicy, ServiceDeployment, Storefront};

/// Every definition, in reading order.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![
        Storefront::crd(),
        ServiceDeployment::crd(),
        DatabaseBinding::crd(),
        JwtPolicy::crd(),
        RateLimitPolicy::crd(),
    ]
}

/// File name and YAML text of every definition, as committed under `crds/generated/`.
pub fn files() -> Result<Vec<(String, String)>, serde_yaml::Error> {
    definitions()
        .iter()
        .map(|crd| {
            let yaml = serde_yaml::to_string(crd)?;
            let file = format!("{}.yaml", crd.spec.names.plural);
            Ok((
                file,
                format!(
                    "# Generated from the types in crds/src by `make gen`; do not edit.\n{yaml}"
                ),
            ))
        })
        .collect()
}
