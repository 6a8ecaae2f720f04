//! Products and categories.

use chrono::{DateTime, Utc};
use serde_json::Value;
use service::{StoreError, failed};
use sqlx::PgConnection;
use uuid::Uuid;
use vocabulary::ProductId;

use crate::domain::import::Row;
use crate::domain::listing::{Listing, Prices, Product, category_title};
use crate::domain::stock::Stock;

/// A product with its stock, as every query here reads it.
pub(super) struct ProductRow {
    pub product_id: ProductId,
    pub sku: String,
    pub title: String,
    pub description: String,
    pub category_slug: String,
    pub prices: Value,
    pub version: i64,
    pub available: i64,
}

impl ProductRow {
    pub(super) fn decode(self) -> Result<Product, StoreError> {
        let id = self.product_id;
        let prices: Prices = serde_json::from_value(self.prices)
            .map_err(|_| StoreError::invalid_row(format!("product {id}")))?;
        Ok(Product {
            id,
            listing: Listing {
                sku: self.sku,
                title: self.title,
                description: self.description,
                category: self.category_slug,
                prices,
            },
            available: self.available,
            version: self.version,
        })
    }
}

/// A category of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// Its name in paths.
    pub slug: String,
    /// Its name for people.
    pub title: String,
    /// The category above it.
    pub parent: Option<String>,
    /// Products right in it.
    pub products: i64,
}

/// Most categories that are listed; a shop with more has another problem.
const MAX_CATEGORIES: i64 = 1_000;

/// One product.
pub async fn find(conn: &mut PgConnection, id: ProductId) -> Result<Option<Product>, StoreError> {
    let row = sqlx::query_as!(
        ProductRow,
        r#"select product_id as "product_id: ProductId", sku, title, description, category_slug, prices,
                  version, s.on_hand - s.reserved as "available!"
           from product.products join product.stock as s using (product_id) where product_id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find product"))?;
    row.map(ProductRow::decode).transpose()
}

/// The version of a product that is about to change: nobody else changes it until the commit.
pub async fn lock(conn: &mut PgConnection, id: ProductId) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar!(
        "select version from product.products where product_id = $1 for update",
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("lock product"))
}

/// Makes categories that are named and not there yet.
pub async fn ensure_categories(conn: &mut PgConnection, slugs: &[&str]) -> Result<(), StoreError> {
    let mut slugs: Vec<String> = slugs.iter().map(|slug| (*slug).to_owned()).collect();
    slugs.sort_unstable();
    slugs.dedup();
    let titles: Vec<String> = slugs.iter().map(|slug| category_title(slug)).collect();
    sqlx::query!(
        "insert into product.categories (slug, title)
         select * from unnest($1::text[], $2::text[]) on conflict (slug) do nothing",
        &slugs,
        &titles,
    )
    .execute(conn)
    .await
    .map_err(failed("ensure categories"))?;
    Ok(())
}

/// Stores a new product with its stock.
pub async fn insert(
    conn: &mut PgConnection,
    product: &Product,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let listing = &product.listing;
    sqlx::query!(
        "with fresh as (
             insert into product.products
                 (product_id, sku, title, description, category_slug, prices, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7) returning product_id
         )
         insert into product.stock (product_id, on_hand) select product_id, $8 from fresh",
        product.id.as_uuid(),
        listing.sku,
        listing.title,
        listing.description,
        listing.category,
        prices(&listing.prices),
        now,
        product.available,
    )
    .execute(conn)
    .await
    .map_err(failed("insert product"))?;
    Ok(())
}

/// Overwrites what a merchant wrote; the row is locked.
pub async fn update(
    conn: &mut PgConnection,
    id: ProductId,
    listing: &Listing,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update product.products
         set sku = $2, title = $3, description = $4, category_slug = $5, prices = $6,
             version = version + 1, updated_at = $7
         where product_id = $1",
        id.as_uuid(),
        listing.sku,
        listing.title,
        listing.description,
        listing.category,
        prices(&listing.prices),
        now,
    )
    .execute(conn)
    .await
    .map_err(failed("update product"))?;
    Ok(())
}

/// A product whose stock was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Its stock keeping unit.
    pub sku: String,
    /// What it had.
    pub before: Stock,
    /// What it has.
    pub after: Stock,
}

/// Sets what is on hand; none if there is no such product.
pub async fn set_on_hand(
    conn: &mut PgConnection,
    id: ProductId,
    on_hand: i64,
) -> Result<Option<Counted>, StoreError> {
    let row = sqlx::query!(
        "with before as (
             select product_id, s.on_hand, p.sku from product.stock as s join product.products as p using (product_id)
             where product_id = $1 for update of s
         )
         update product.stock as s set on_hand = $2 from before where s.product_id = before.product_id
         returning before.on_hand, s.reserved, before.sku",
        id.as_uuid(),
        on_hand,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("set stock"))?;
    Ok(row.map(|row| {
        let stock = |on_hand| Stock {
            on_hand,
            reserved: row.reserved,
        };
        Counted {
            sku: row.sku,
            before: stock(row.on_hand),
            after: stock(on_hand),
        }
    }))
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Products that are new.
    pub created: usize,
    /// Products whose listing changed.
    pub updated: Vec<ProductId>,
}

/// Writes a whole catalogue: new SKUs become products with stock, known ones get the new listing
/// where it differs and keep their stock.
pub async fn import(
    conn: &mut PgConnection,
    rows: &[(ProductId, Row)],
    now: DateTime<Utc>,
) -> Result<Imported, StoreError> {
    let slugs: Vec<&str> = rows
        .iter()
        .map(|(_, row)| row.listing.category.as_str())
        .collect();
    ensure_categories(conn, &slugs).await?;
    // One order of SKUs for everybody: two imports at the same time wait instead of deadlocking.
    let mut rows: Vec<&(ProductId, Row)> = rows.iter().collect();
    rows.sort_unstable_by(|(_, a), (_, b)| a.listing.sku.cmp(&b.listing.sku));
    let texts = |pick: fn(&Listing) -> &str| -> Vec<String> {
        rows.iter()
            .map(|(_, row)| pick(&row.listing).to_owned())
            .collect()
    };
    let ids: Vec<Uuid> = rows.iter().map(|(id, _)| id.as_uuid()).collect();
    let prices: Vec<Value> = rows
        .iter()
        .map(|(_, row)| prices(&row.listing.prices))
        .collect();
    let on_hand: Vec<i64> = rows.iter().map(|(_, row)| row.on_hand).collect();
    let written = sqlx::query!(
        r#"with line as (
             select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::bigint[])
                 with ordinality as line (product_id, sku, title, description, category_slug, prices, on_hand, place)
         ), written as (
             insert into product.products as p
                 (product_id, sku, title, description, category_slug, prices, created_at, updated_at)
             select product_id, sku, title, description, category_slug, prices, $8, $8 from line order by place
             on conflict (sku) do update
             set title = excluded.title, description = excluded.description, prices = excluded.prices,
                 category_slug = excluded.category_slug, version = p.version + 1, updated_at = excluded.updated_at
             where (p.title, p.description, p.category_slug, p.prices)
                 is distinct from (excluded.title, excluded.description, excluded.category_slug, excluded.prices)
             returning p.product_id, p.version = 1 as fresh
         ), stocked as (
             insert into product.stock (product_id, on_hand)
             select line.product_id, line.on_hand from line join written using (product_id) where written.fresh
         )
         select product_id as "product_id: ProductId", fresh as "fresh!" from written"#,
        &ids,
        &texts(|listing| &listing.sku),
        &texts(|listing| &listing.title),
        &texts(|listing| &listing.description),
        &texts(|listing| &listing.category),
        &prices,
        &on_hand,
        now,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("import products"))?;
    let (fresh, updated): (Vec<_>, Vec<_>) = written.into_iter().partition(|row| row.fresh);
    Ok(Imported {
        created: fresh.len(),
        updated: updated.into_iter().map(|row| row.product_id).collect(),
    })
}

/// The tree, by slug.
pub async fn categories(conn: &mut PgConnection) -> Result<Vec<Category>, StoreError> {
    sqlx::query_as!(
        Category,
        r#"select slug, title, parent_slug as parent,
                  (select count(*) from product.products where category_slug = slug) as "products!"
           from product.categories order by slug limit $1"#,
        MAX_CATEGORIES,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("list categories"))
}

fn prices(prices: &Prices) -> Value {
    prices
        .all()
        .into_iter()
        .map(|price| (price.currency().to_string(), Value::from(price.minor())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
