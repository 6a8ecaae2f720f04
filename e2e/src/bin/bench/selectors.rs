//! Which pods are measured.

/// Everything that runs for a shop, its gateway too.
pub const SHOP: &str = "app.kubernetes.io/managed-by=storefront-operator";
pub const OPERATOR: &str = "app.kubernetes.io/name=storefront-operator";
/// The namespace of the operator.
pub const SYSTEM: &str = "storefront-system";
