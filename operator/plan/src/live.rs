//! Live objects, each as its kind.

use std::sync::Arc;

use crds::{DatabaseBinding, JwtPolicy, RateLimitPolicy, ServiceDeployment};
use gateway_routes::api::{Gateway, HTTPRoute};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::Answer;
use crate::key::ObjectKey;

/// A kind whose live objects statuses are computed from.
pub trait Readable: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static {
    /// The object, if it is one of this kind.
    fn of(live: &Live) -> Option<&Arc<Self>>;
    /// An object of this kind.
    fn into_live(object: Arc<Self>) -> Live;
}

macro_rules! readable {
    ($($kind:ident: $type:ty),+ $(,)?) => {
        /// A live object. Only kinds that something is computed from are told apart.
        #[derive(Clone, Debug)]
        pub enum Live {
            $(
                #[doc = concat!("A ", stringify!($kind), ".")]
                $kind(Arc<$type>),
            )+
            /// What a workload answered when it was asked itself: see [`crate::probe`].
            Answer(Arc<Answer>),
            /// What a ServiceDeployment should have been made from: see
            /// [`crate::service_deployment::inputs`].
            Inputs(String),
            /// Why the workload called so makes no pods: see [`crate::podless`].
            Refused(String),
            /// Why the pod called so has no containers yet, reason and message: see [`crate::creating`].
            Stuck(&'static str, Arc<str>),
            /// A volume claim that is being deleted, and since when: see [`crate::storefront::volume_claims`].
            Leaving(Time),
            /// An object that exists, and of which nothing else is read.
            Other,
        }

        $(
            impl Readable for $type {
                fn of(live: &Live) -> Option<&Arc<Self>> {
                    match live {
                        Live::$kind(object) => Some(object),
                        _ => None,
                    }
                }

                fn into_live(object: Arc<Self>) -> Live {
                    Live::$kind(object)
                }
            }
        )+

        impl Live {
            /// Decodes what the API server sent. What does not decode counts as an object of which
            /// nothing is known.
            pub fn decode(key: &ObjectKey, value: &Value) -> Self {
                $(
                    if key.kind == <$type>::kind(&()) && key.group == <$type>::group(&()) {
                        let object = <$type as serde::Deserialize>::deserialize(value);
                        return object.map_or(Self::Other, |object| Self::$kind(Arc::new(object)));
                    }
                )+
                Self::Other
            }
        }
    };
}

readable! {
    Deployment: Deployment,
    StatefulSet: StatefulSet,
    Job: Job,
    Pod: Pod,
    Service: Service,
    Gateway: Gateway,
    HttpRoute: HTTPRoute,
    ServiceDeployment: ServiceDeployment,
    DatabaseBinding: DatabaseBinding,
    JwtPolicy: JwtPolicy,
    RateLimitPolicy: RateLimitPolicy,
    Autoscaler: HorizontalPodAutoscaler,
}
