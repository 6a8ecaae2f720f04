//! The route table.

mod claim_reservation;
mod create_product;
mod get_product;
mod import_products;
mod list_categories;
mod list_products;
mod release_reservation;
mod reserve_stock;
mod set_stock;
mod update_product;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{post, put};
use chassis::{Problem, openapi_route};
use contracts::reservations::{CLAIM, RELEASE, RESERVATION};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vocabulary::{Money, ProductId};

use crate::domain::listing::{FieldError, Listing, Prices, Product};
use crate::state::AppState;
use crate::store::StoreError;

#[derive(OpenApi)]
#[openapi(
    info(title = "product", description = "What can be bought: catalogue, prices and stock."),
    modifiers(&Bearer)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

fn public() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(list_products::handler, create_product::handler))
        .routes(routes!(get_product::handler, update_product::handler))
        .routes(routes!(set_stock::handler))
        .routes(routes!(list_categories::handler))
        .merge(import())
}

/// A catalogue is larger than what anybody else sends.
fn import() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(import_products::handler))
        .layer(DefaultBodyLimit::max(4 * 1024 * 1024))
}

/// The API. Internal routes are not in the document: the gateway never serves them.
pub fn router(app: AppState) -> Router {
    let (public, _) = public().split_for_parts();
    public
        .route(RESERVATION, put(reserve_stock::handler))
        .route(CLAIM, post(claim_reservation::handler))
        .route(RELEASE, post(release_reservation::handler))
        .merge(openapi_route("product", openapi()))
        .with_state(app)
}

/// The OpenAPI document, as it is committed and served.
pub fn openapi() -> String {
    let mut json = public()
        .into_openapi()
        .to_pretty_json()
        .expect("the document is JSON");
    json.push('\n');
    json
}

/// One product, as a card shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProductView {
    /// Its id.
    id: ProductId,
    /// Stock keeping unit.
    #[schema(example = "COFFEE-HOUSE-250")]
    sku: String,
    /// Title.
    #[schema(example = "House blend, 250 g")]
    title: String,
    /// Description.
    description: String,
    /// Slug of the category.
    #[schema(example = "coffee")]
    category: String,
    /// One price per currency.
    prices: Vec<Money>,
    /// Pieces that could be had, up to half a minute ago.
    available: i64,
}

impl From<&Product> for ProductView {
    fn from(product: &Product) -> Self {
        let listing = &product.listing;
        Self {
            id: product.id,
            sku: listing.sku.clone(),
            title: listing.title.clone(),
            description: listing.description.clone(),
            category: listing.category.clone(),
            prices: listing.prices.all(),
            available: product.available,
        }
    }
}

/// What a merchant writes about a product.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListingBody {
    /// Upper-case letters and digits with single dashes between, 64 at most; unique.
    #[schema(example = "COFFEE-HOUSE-250")]
    sku: String,
    /// 1 to 200 characters.
    #[schema(example = "House blend, 250 g")]
    title: String,
    /// At most 4000 characters.
    #[serde(default)]
    description: String,
    /// Slug of the category; a new one is made.
    #[schema(example = "coffee")]
    category: String,
    /// One price per currency, at least one.
    prices: Vec<Money>,
}

impl ListingBody {
    fn listing(self) -> Result<Listing, Problem> {
        let prices = Prices::new(self.prices).map_err(|fault| refused(vec![fault]))?;
        let listing = Listing {
            sku: self.sku,
            title: self.title,
            description: self.description,
            category: self.category,
            prices,
        };
        listing.check().map_err(refused)?;
        Ok(listing)
    }
}

/// 422 with every field that is not valid.
fn refused(faults: Vec<FieldError>) -> Problem {
    faults
        .into_iter()
        .fold(Problem::invalid(), |problem, fault| {
            problem.field(fault.field, fault.message)
        })
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.constraint() == Some("products_sku_key") {
            let title = "There is a product with this SKU";
            return Self::new(StatusCode::CONFLICT, "sku_taken", title).field("sku", "is taken");
        }
        Self::internal(&error)
    }
}

/// A problem of a contract, with its typed members.
fn problem(problem: &impl contracts::Problem, title: &'static str) -> Problem {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::CONFLICT);
    Problem::new(status, problem.code(), title).extend(problem)
}

/// What a failed commit is to the client. It may have happened: the client asks again, and learns.
fn uncommitted(error: &sqlx::Error) -> Problem {
    Problem::internal(error)
}
