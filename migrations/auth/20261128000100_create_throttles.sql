-- Failed logins and registrations, counted where they survive the loss of the cache. A level sinks by
-- itself; a row whose level has sunk to zero says nothing and is swept.
create table auth.throttles (
    -- What is counted: a kind, a digest of the account, a network, a session.
    key        text             primary key,
    level      double precision not null,
    -- When the level was what it says.
    at         timestamptz      not null,
    expires_at timestamptz      not null,
    constraint throttles_level_not_negative check (level >= 0)
);

create index throttles_expires_at on auth.throttles (expires_at);
