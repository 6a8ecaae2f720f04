-- Events out and in: the tables of the outbox crate, whose README explains them.
create table orders.outbox (
    event_id       uuid primary key,
    position       bigint generated always as identity,
    type           text not null,
    aggregate      text not null,
    body           jsonb not null,
    traceparent    text,
    created_at     timestamptz not null,
    published_at   timestamptz,
    attempts       integer not null default 0,
    stream_created timestamptz,
    stream_seq     bigint,
    receipts       text[] not null default '{}',
    done_at        timestamptz
);
create index outbox_pending on orders.outbox (position) where published_at is null and done_at is null;
create index outbox_unreceipted on orders.outbox (published_at) where published_at is not null and done_at is null;
create index outbox_done on orders.outbox (done_at) where done_at is not null;

create table orders.inbox (
    consumer text not null,
    event_id uuid not null,
    type     text not null,
    seen_at  timestamptz not null,
    primary key (consumer, event_id)
);
create index inbox_seen_at on orders.inbox (seen_at);

create table orders.dead_letters (
    consumer         text not null,
    event_id         uuid not null,
    type             text not null,
    aggregate        text not null,
    body             jsonb not null,
    error            text not null,
    attempts         integer not null,
    died_at          timestamptz not null,
    replay_asked_at  timestamptz,
    resolved_at      timestamptz,
    primary key (consumer, event_id)
);
create index dead_letters_open on orders.dead_letters (died_at) where resolved_at is null;

create table orders.idempotency_keys (
    caller       text not null,
    route        text not null,
    key          text not null,
    fingerprint  bytea not null,
    status       smallint,
    location     text,
    body         bytea,
    created_at   timestamptz not null,
    locked_until timestamptz not null,
    primary key (caller, route, key)
);
create index idempotency_keys_created_at on orders.idempotency_keys (created_at);
