-- What the tests' handlers write: one row per effect.
create table orders.effects (
    position bigint generated always as identity,
    event_id uuid not null,
    number   text not null
);
