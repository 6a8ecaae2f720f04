-- Events commit with the decision; the relay publishes them (services/shared/outbox/README.md).
create table auth.outbox (
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
create index outbox_pending on auth.outbox (position) where published_at is null and done_at is null;
create index outbox_unreceipted on auth.outbox (published_at) where published_at is not null and done_at is null;
create index outbox_done on auth.outbox (done_at) where done_at is not null;
