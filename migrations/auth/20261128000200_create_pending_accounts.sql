-- Accounts that wait for the code that was sent to their address. Those of taken addresses are written too,
-- so that both are answered alike; nobody has the code of such a row.
create table auth.pending_accounts (
    -- SHA-256 of the code: a leaked table confirms nothing.
    code_hash     bytea       primary key,
    account_id    uuid        not null,
    username      text        not null,
    username_key  text        not null,
    email         text        not null,
    email_key     text        not null,
    password_hash text        not null,
    expires_at    timestamptz not null,
    constraint pending_accounts_hash_length check (octet_length(code_hash) = 32),
    constraint pending_accounts_password_is_argon2id check (password_hash like '$argon2id$%')
);

create index pending_accounts_expires_at on auth.pending_accounts (expires_at);
