-- A login on one device, and the refresh tokens that it has had: a used one that shows up again
-- ends its session.
create table auth.sessions (
    session_id     uuid        primary key,
    account_id     uuid        not null references auth.accounts (account_id) on delete cascade,
    created_at     timestamptz not null,
    -- When its last token stops to work; the sweeper removes it then.
    expires_at     timestamptz not null,
    revoked_at     timestamptz,
    revoked_reason text,
    constraint sessions_revoked_reason_known
        check (revoked_reason in ('logout', 'reuse', 'password_changed')),
    constraint sessions_revoked_with_reason check ((revoked_at is null) = (revoked_reason is null))
);

create index sessions_account on auth.sessions (account_id);
create index sessions_expires_at on auth.sessions (expires_at);

create table auth.refresh_tokens (
    -- SHA-256 of the token: a leaked table opens nothing.
    token_hash bytea       primary key,
    session_id uuid        not null references auth.sessions (session_id) on delete cascade,
    issued_at  timestamptz not null,
    expires_at timestamptz not null,
    used_at    timestamptz,
    constraint refresh_tokens_hash_length check (octet_length(token_hash) = 32)
);

create index refresh_tokens_session on auth.refresh_tokens (session_id);
create index refresh_tokens_expires_at on auth.refresh_tokens (expires_at);
-- Single use: a session has at most one token that can still be exchanged.
create unique index refresh_tokens_one_unused on auth.refresh_tokens (session_id) where used_at is null;
