-- What a service's one-statement decision calls, so that it does not have to know the tables above.
-- PL/pgSQL, because it keeps the plans of a session; names are qualified, because a search path would be set on each call.

-- Appends an event, given as its CloudEvents envelope, and wakes the relay.
--
-- NOTIFY serialises commits, so it is sent only when the relay may be idle: while rows are pending it is working. A row that
-- is missed by this waits for the relay's next poll. The check looks at the newest pending row, because the index entries of
-- published rows stay at its old end until the next vacuum, and it comes before the insert, which it would otherwise see.
create or replace function {schema}.outbox_append(event jsonb) returns uuid
    language plpgsql
as $$
begin
    if (select position from {schema}.outbox where published_at is null and done_at is null
        order by position desc limit 1) is null
    then
        perform pg_notify('outbox_' || '{name}', '');
    end if;
    insert into {schema}.outbox (event_id, type, aggregate, body, traceparent, created_at)
    values ((event ->> 'id')::uuid, event ->> 'type', event ->> 'subject', event, event ->> 'traceparent',
            (event ->> 'time')::timestamptz);
    return (event ->> 'id')::uuid;
end
$$;

-- Claims an idempotency key; false if it is taken. A claim that was not finished within a minute is taken over by the same
-- request; a key is forgotten after a day.
create or replace function {schema}.idempotency_claim(
    for_caller text, on_route text, with_key text, request bytea, claimed_at timestamptz
) returns boolean
    language plpgsql
as $$
begin
    insert into {schema}.idempotency_keys as held (caller, route, key, fingerprint, created_at, locked_until)
    values (for_caller, on_route, with_key, sha256(request), claimed_at, claimed_at + interval '60 seconds')
    on conflict (caller, route, key) do update
    set fingerprint = excluded.fingerprint, created_at = excluded.created_at,
        locked_until = excluded.locked_until, status = null, location = null, body = null
    where held.created_at < claimed_at - interval '24 hours'
       or (held.status is null and held.locked_until <= claimed_at and held.fingerprint = excluded.fingerprint);
    return found;
end
$$;

-- Stores the response to the request that claimed the key; false if the key is another request's by now, or was answered.
create or replace function {schema}.idempotency_finish(
    for_caller text, on_route text, with_key text, request bytea,
    response_status smallint, response_location text, response_body bytea
) returns boolean
    language plpgsql
as $$
begin
    update {schema}.idempotency_keys
    set status = response_status, location = response_location, body = response_body
    where caller = for_caller and route = on_route and key = with_key and fingerprint = sha256(request)
      and status is null;
    return found;
end
$$;
