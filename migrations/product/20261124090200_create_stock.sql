-- What is there and what is promised. The checks are the last word on overselling, whoever calls.
create table product.stock (
    product_id uuid primary key references product.products (product_id),
    on_hand bigint not null,
    reserved bigint not null default 0,
    constraint stock_on_hand check (on_hand >= 0),
    constraint stock_reserved check (reserved >= 0),
    constraint stock_reserved_on_hand check (reserved <= on_hand)
) with (fillfactor = 70);

-- held -> claimed -> restocked, held -> released, held -> expired.
-- A row may be born released: the release overtook the reserve, and the late reserve must hold nothing.
create table product.reservations (
    reservation_id uuid primary key,
    state text not null,
    currency char(3),
    expires_at timestamptz,
    order_id uuid,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint reservations_state check (state in ('held', 'claimed', 'restocked', 'released', 'expired')),
    constraint reservations_currency check (currency ~ '^[A-Z]{3}$'),
    constraint reservations_facts check (state = 'released' or (currency is not null and expires_at is not null)),
    constraint reservations_claimed check ((state in ('claimed', 'restocked')) = (order_id is not null))
) with (fillfactor = 70);
create index reservations_held on product.reservations (expires_at) where state = 'held';

-- Prices and titles are frozen here: a replay of the reserve answers the same, whatever the catalogue says by then.
create table product.reservation_lines (
    reservation_id uuid not null references product.reservations (reservation_id) on delete cascade,
    product_id uuid not null references product.stock (product_id),
    quantity integer not null,
    sku text not null,
    title text not null,
    unit_minor bigint not null,
    primary key (reservation_id, product_id),
    constraint reservation_lines_quantity check (quantity > 0),
    constraint reservation_lines_unit_minor check (unit_minor >= 0)
);
create index reservation_lines_product_id on product.reservation_lines (product_id);
