-- What can be bought. One row per product carries all that a card shows, prices included.
-- pg_trgm is what finds a product behind a typing mistake. It is a trusted extension: the database's owner may create it,
-- and where the DatabaseBinding has created it already, this line does nothing and needs no right.
create extension if not exists pg_trgm;

create table product.categories (
    slug text primary key,
    title text not null,
    parent_slug text references product.categories (slug),
    constraint categories_slug check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 64),
    constraint categories_title check (length(title) between 1 and 128),
    constraint categories_parent check (parent_slug <> slug)
);
create index categories_parent_slug on product.categories (parent_slug);

create table product.products (
    product_id uuid primary key,
    sku text not null,
    title text not null,
    description text not null,
    category_slug text not null references product.categories (slug),
    -- {"EUR": 1099}: minor units by currency, so that a card is one row.
    prices jsonb not null,
    version bigint not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    search tsvector not null generated always as (
        setweight(to_tsvector('english', title), 'A')
        || setweight(to_tsvector('simple', sku), 'A')
        || setweight(to_tsvector('english', replace(category_slug, '-', ' ')), 'B')
        || setweight(to_tsvector('english', description), 'C')
    ) stored,
    haystack text not null generated always as (lower(title || ' ' || sku || ' ' || replace(category_slug, '-', ' '))) stored,
    constraint products_sku_key unique (sku),
    constraint products_sku check (sku ~ '^[A-Z0-9]+(-[A-Z0-9]+)*$' and length(sku) <= 64),
    constraint products_title check (length(title) between 1 and 200),
    constraint products_description check (length(description) <= 4000),
    constraint products_prices check (jsonb_typeof(prices) = 'object' and prices <> '{}'),
    constraint products_version check (version > 0)
);
create index products_category_slug on product.products (category_slug, product_id);
create index products_search on product.products using gin (search);
create index products_haystack on product.products using gin (haystack gin_trgm_ops);
