#![doc = include_str!("../README.md")]
#![expect(
    clippy::duplicated_attributes,
    reason = "two printer columns may well have the same type"
)]

mod claim_headers;
pub mod common;
pub mod condition;
pub mod database_binding;
pub mod gateway_policy;
pub mod manifests;
pub mod observability;
pub mod pods;
pub mod service_deployment;
pub mod storefront;

pub use claim_headers::is_reserved_header;
pub use common::{
    DatabaseGrant, DeletionPolicy, EnvVar, LocalRef, Replicas, ResourceList, Resources,
    SharedAccess, duration_secs,
};
pub use condition::Condition;
pub use database_binding::{
    Access, BackupStatus, BackupVolume, BindingRef, BindingStatus, Credentials, DatabaseBinding,
    DatabaseBindingSpec, DatabaseBindingStatus, Extension, OutgoingCredentials, Recreation,
    Rotation, RotationStatus, ServerRef,
};
pub use gateway_policy::{
    ClaimToHeader, JwtMode, JwtPolicy, JwtPolicySpec, LimitKey, PolicyAncestor, PolicyParentRef,
    PolicyStatus, PolicyTargetRef, RateLimit, RateLimitPolicy, RateLimitPolicySpec,
};
pub use observability::{Observability, Tracing};
pub use pods::{PodSettings, TopologySpread, WhenUnsatisfiable};
pub use service_deployment::{
    AuthMode, Events, FailingDependency, Migrate, Probes, PullPolicy, Route, ServiceBinding,
    ServiceDeployment, ServiceDeploymentSpec, ServiceDeploymentStatus, Uses,
};
pub use storefront::{
    Accounts, Blocker, Cache, Database, EmailNotifications, EmbeddedPostgres, ExternalPostgres,
    GatewayService, GatewaySpec, GatewayTls, Nats, Notifications, OtherHosts, PaymentMethod,
    PaymentMethodName, Queue, Redis, ReleaseImages, ServiceCounts, ServiceOverride, ServiceType,
    ShopRateLimit, Smtp, Storefront, StorefrontSpec, StorefrontStatus, Teams, TrafficPolicy,
    VolumeSizes,
};

/// The API group of every resource here.
pub const GROUP: &str = "storefront.dev";
/// The one version served and stored.
pub const VERSION: &str = "v1alpha1";
