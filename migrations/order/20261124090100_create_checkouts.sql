-- The durable checkout: written before the first call to a peer, so that a kill at any moment leaves something to resume.
create table orders.checkouts (
    -- Also the id of the order that comes out of it.
    checkout_id uuid primary key,
    stage text not null,
    user_id uuid not null,
    reservation_id uuid not null,
    payment_id uuid not null,
    idempotency_key text not null,
    -- What was asked for: items, currency, address, payment method.
    request jsonb not null,
    -- What the reservation froze: customer's email, lines, total. Null until then.
    frozen jsonb,
    -- Why it walks back: the problem that was answered. Null while it goes forward.
    refusal jsonb,
    attempts integer not null default 0,
    -- Who drives it keeps this ahead of the clock; behind the clock, anybody may take it over.
    lease_until timestamptz not null,
    -- Fences a driver that lost its lease: every write names the version that it read.
    version bigint not null default 1,
    traceparent text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint checkouts_stage check (stage in ('started', 'reserved', 'authorised', 'placed', 'voiding', 'releasing', 'failed')),
    constraint checkouts_frozen check (frozen is not null or stage in ('started', 'voiding', 'releasing', 'failed')),
    constraint checkouts_refusal check ((refusal is not null) = (stage in ('voiding', 'releasing', 'failed'))),
    constraint checkouts_attempts check (attempts >= 0)
) with (fillfactor = 70);
-- A client that asks again with its key joins its own checkout. Not unique: keys are forgotten before checkouts are.
create index checkouts_idempotency_key on orders.checkouts (user_id, idempotency_key);
-- What the sweeper looks for.
create index checkouts_open on orders.checkouts (lease_until) where stage not in ('placed', 'failed');
