//! Lists of products, a page at a time: by creation, by words, and by similarity where words find nothing.

use serde::{Deserialize, Serialize};
use service::{StoreError, failed};
use sqlx::PgConnection;
use vocabulary::ProductId;

use super::catalogue::ProductRow;
use crate::domain::listing::Product;

/// The last product of a page.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// How well it fits; 0 in lists without words.
    pub rank: f32,
    /// The product.
    pub id: ProductId,
}

/// A product and how well it fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// How well it fits.
    pub rank: f32,
    /// The product.
    pub product: Product,
}

impl Hit {
    /// Where it stands in its list.
    pub const fn place(&self) -> Place {
        Place {
            rank: self.rank,
            id: self.product.id,
        }
    }
}

struct RankedRow {
    product_id: ProductId,
    sku: String,
    title: String,
    description: String,
    category_slug: String,
    prices: serde_json::Value,
    version: i64,
    available: i64,
    rank: f32,
}

impl RankedRow {
    fn decode(self) -> Result<Hit, StoreError> {
        let product = ProductRow {
            product_id: self.product_id,
            sku: self.sku,
            title: self.title,
            description: self.description,
            category_slug: self.category_slug,
            prices: self.prices,
            version: self.version,
            available: self.available,
        };
        Ok(Hit {
            rank: self.rank,
            product: product.decode()?,
        })
    }
}

/// Which part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// Only this category and what is below it.
    pub category: Option<&'a str>,
    /// Only what comes after.
    pub after: Option<Place>,
    /// Most rows.
    pub rows: i64,
}

/// Everything, oldest first.
pub async fn all(conn: &mut PgConnection, window: Window<'_>) -> Result<Vec<Hit>, StoreError> {
    let rows = sqlx::query_as!(
        ProductRow,
        r#"with recursive subtree as (
               select slug from product.categories where slug = $1
               union select c.slug from product.categories as c join subtree on c.parent_slug = subtree.slug
           )
           select product_id as "product_id: ProductId", sku, title, description, category_slug, prices,
                  version, s.on_hand - s.reserved as "available!"
           from product.products join product.stock as s using (product_id)
           where ($1::text is null or category_slug in (select slug from subtree))
             and ($2::uuid is null or product_id > $2)
           order by product_id limit $3"#,
        window.category,
        window.after.map(|place| place.id.as_uuid()),
        window.rows,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("list products"))?;
    rows.into_iter()
        .map(|row| {
            Ok(Hit {
                rank: 0.0,
                product: row.decode()?,
            })
        })
        .collect()
}

/// What holds the words, best first.
pub async fn by_words(
    conn: &mut PgConnection,
    words: &str,
    window: Window<'_>,
) -> Result<Vec<Hit>, StoreError> {
    let rows = sqlx::query_as!(
        RankedRow,
        r#"with recursive subtree as (
               select slug from product.categories where slug = $2
               union select c.slug from product.categories as c join subtree on c.parent_slug = subtree.slug
           ), hit as (
               select p.*, ts_rank(p.search, query) as rank
               from product.products as p, websearch_to_tsquery('english', $1) as query
               where p.search @@ query and ($2::text is null or p.category_slug in (select slug from subtree))
           )
           select product_id as "product_id: ProductId", sku, title, description, category_slug, prices,
                  version, s.on_hand - s.reserved as "available!", rank as "rank!"
           from hit join product.stock as s using (product_id)
           where $3::real is null or rank < $3 or (rank = $3 and product_id > $4)
           order by rank desc, product_id limit $5"#,
        words,
        window.category,
        window.after.map(|place| place.rank),
        window.after.map(|place| place.id.as_uuid()),
        window.rows,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("search products by words"))?;
    rows.into_iter().map(RankedRow::decode).collect()
}

/// What looks like the words, best first: a typing mistake still finds something.
pub async fn by_similarity(
    conn: &mut PgConnection,
    words: &str,
    window: Window<'_>,
) -> Result<Vec<Hit>, StoreError> {
    // The operator `<%`, which the index supports, takes its threshold from this setting only. The
    // default of 0.6 misses one missing letter in a word of nine. Only this query reads the setting,
    // so it may stay on the session.
    sqlx::query_scalar!("select set_config('pg_trgm.word_similarity_threshold', '0.4', false)")
        .fetch_one(&mut *conn)
        .await
        .map_err(failed("set similarity"))?;
    let rows = sqlx::query_as!(
        RankedRow,
        r#"with recursive subtree as (
               select slug from product.categories where slug = $2
               union select c.slug from product.categories as c join subtree on c.parent_slug = subtree.slug
           ), hit as (
               select p.*, word_similarity(lower($1), p.haystack) as rank
               from product.products as p
               where lower($1) <% p.haystack and ($2::text is null or p.category_slug in (select slug from subtree))
           )
           select product_id as "product_id: ProductId", sku, title, description, category_slug, prices,
                  version, s.on_hand - s.reserved as "available!", rank as "rank!"
           from hit join product.stock as s using (product_id)
           where $3::real is null or rank < $3 or (rank = $3 and product_id > $4)
           order by rank desc, product_id limit $5"#,
        words,
        window.category,
        window.after.map(|place| place.rank),
        window.after.map(|place| place.id.as_uuid()),
        window.rows,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("search products by similarity"))?;
    rows.into_iter().map(RankedRow::decode).collect()
}
