-- Events out, events in, idempotency keys: one set of tables per schema, for every service.
-- `if not exists`: schemas that are older than these migrations got the same tables from their service's own first file.
create table if not exists {schema}.outbox (
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
create index if not exists outbox_pending on {schema}.outbox (position)
    where published_at is null and done_at is null;
create index if not exists outbox_unreceipted on {schema}.outbox (published_at)
    where published_at is not null and done_at is null;
create index if not exists outbox_done on {schema}.outbox (done_at) where done_at is not null;

create table if not exists {schema}.inbox (
    consumer text not null,
    event_id uuid not null,
    type     text not null,
    seen_at  timestamptz not null,
    primary key (consumer, event_id)
);
create index if not exists inbox_seen_at on {schema}.inbox (seen_at);

create table if not exists {schema}.dead_letters (
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
create index if not exists dead_letters_open on {schema}.dead_letters (died_at) where resolved_at is null;

create table if not exists {schema}.idempotency_keys (
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
create index if not exists idempotency_keys_created_at on {schema}.idempotency_keys (created_at);
