-- Events are applied once; what cannot be applied is kept (services/shared/outbox/README.md).
create table notification.inbox (
    consumer text not null,
    event_id uuid not null,
    type     text not null,
    seen_at  timestamptz not null,
    primary key (consumer, event_id)
);
create index inbox_seen_at on notification.inbox (seen_at);

create table notification.dead_letters (
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
create index dead_letters_open on notification.dead_letters (died_at) where resolved_at is null;
