-- The promise. An order exists only with its payment authorised and its stock claimed.
-- Numbers are for people: short, rising, with gaps where a commit failed (a sequence never gives a number twice).
create sequence orders.order_numbers start 100001;

create table orders.orders (
    order_id uuid primary key,
    number text not null default 'SF-' || nextval('orders.order_numbers'),
    user_id uuid not null,
    email text not null,
    stage text not null,
    currency char(3) not null,
    total_minor bigint not null,
    address jsonb not null,
    payment_id uuid not null,
    reservation_id uuid not null,
    version bigint not null default 1,
    placed_at timestamptz not null,
    paid_at timestamptz,
    cancelled_at timestamptz,
    constraint orders_number_key unique (number),
    constraint orders_payment_id_key unique (payment_id),
    constraint orders_reservation_id_key unique (reservation_id),
    constraint orders_stage check (stage in ('placed', 'paid', 'cancelled')),
    constraint orders_stage_facts check (
        (stage = 'placed' and paid_at is null and cancelled_at is null)
        or (stage = 'paid' and paid_at is not null and cancelled_at is null)
        or (stage = 'cancelled' and cancelled_at is not null)
    ),
    constraint orders_currency check (currency ~ '^[A-Z]{3}$'),
    constraint orders_total_minor check (total_minor >= 0)
) with (fillfactor = 80);
create index orders_user_id on orders.orders (user_id, order_id desc);

create table orders.lines (
    order_id uuid not null references orders.orders (order_id),
    line integer not null,
    product_id uuid not null,
    sku text not null,
    title text not null,
    quantity integer not null,
    unit_minor bigint not null,
    primary key (order_id, line),
    constraint lines_quantity check (quantity > 0),
    constraint lines_unit_minor check (unit_minor >= 0)
);

-- What happened to the order, one row per stage reached.
create table orders.history (
    order_id uuid not null references orders.orders (order_id),
    stage text not null,
    at timestamptz not null,
    primary key (order_id, stage),
    constraint history_stage check (stage in ('placed', 'paid', 'cancelled'))
);
