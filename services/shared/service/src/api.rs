//! The routes of a service and its OpenAPI document.

use axum::Router;
use axum::routing::MethodRouter;
use chassis::Problem;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, Info, License, OpenApi, Paths, Ref, RefOr, Response, ResponseBuilder, Schema,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::spec::Spec;

/// Public routes with their OpenAPI document, and internal routes.
pub struct Api<S> {
    name: &'static str,
    public: OpenApiRouter<S>,
    internal: Router<S>,
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// An API without routes.
    pub fn new(spec: &Spec) -> Self {
        let mut license = License::new(env!("CARGO_PKG_LICENSE"));
        license.identifier = Some(env!("CARGO_PKG_LICENSE").to_owned());
        let mut info = Info::new(spec.name(), env!("CARGO_PKG_VERSION"));
        info.description = Some(spec.service.purpose().to_owned());
        info.license = Some(license);
        Self {
            name: spec.name(),
            public: OpenApiRouter::with_openapi(OpenApi::new(info, Paths::new())),
            internal: Router::new(),
        }
    }

    /// Adds public routes: `.routes(routes!(list_orders::handler, place_order::handler))`.
    #[must_use]
    pub fn routes(self, routes: UtoipaMethodRouter<S>) -> Self {
        Self {
            public: self.public.routes(routes),
            ..self
        }
    }

    /// Adds public routes that have layers of their own, such as another body limit.
    #[must_use]
    pub fn merge(self, routes: OpenApiRouter<S>) -> Self {
        Self {
            public: self.public.merge(routes),
            ..self
        }
    }

    /// Adds a route below `/internal/`, for other services only: the gateway does not serve it, and the
    /// document does not list it.
    #[must_use]
    pub fn internal(self, path: &str, routes: MethodRouter<S>) -> Self {
        Self {
            internal: self.internal.route(path, routes),
            ..self
        }
    }

    /// The router, with the document at `/openapi/<service>.json`.
    pub fn router(self, state: S) -> Router {
        let (router, document) = self.public.split_for_parts();
        router
            .merge(self.internal)
            .merge(chassis::openapi_route(self.name, to_json(document)))
            .with_state(state)
    }

    /// The OpenAPI document, as it is committed and served.
    pub fn document(self) -> String {
        to_json(self.public.into_openapi())
    }
}

fn to_json(mut document: OpenApi) -> String {
    let mut needs_token = false;
    for operation in operations(&mut document) {
        needs_token |= operation.security.is_some();
        operation
            .responses
            .responses
            .insert("default".to_owned(), any_other_refusal().into());
    }
    let components = document.components.get_or_insert_default();
    components.schemas.extend(problem_schemas());
    if needs_token {
        components.add_security_scheme("bearer", bearer());
    }
    // A document is a tree of maps and strings: it always has a JSON form.
    let mut json = document.to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
}

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|item| {
        [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ]
        .into_iter()
        .flatten()
    })
}

/// What any operation may answer: requests that cannot be read, limits, failures.
fn any_other_refusal() -> Response {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new()
        .description("Any other refusal or failure")
        .content("application/problem+json", problem)
        .build()
}

fn problem_schemas() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![("Problem".to_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    schemas
}

fn bearer() -> SecurityScheme {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    SecurityScheme::Http(bearer)
}
