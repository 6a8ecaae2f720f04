-- Who exists. What is unique is kept beside what was written, folded by the service: lower() would
-- depend on the database's locale.
create table auth.accounts (
    account_id          uuid        primary key,
    username            text        not null,
    username_key        text        not null constraint accounts_username_key unique,
    email               text        not null,
    email_key           text        not null constraint accounts_email_key unique,
    password_hash       text        not null,
    roles               text[]      not null,
    -- The administrator whose password is what the platform's Secret says, at every start.
    from_secret         boolean     not null default false,
    created_at          timestamptz not null,
    password_changed_at timestamptz not null,
    constraint accounts_username_length check (char_length(username) between 3 and 32),
    constraint accounts_email_length check (char_length(email) between 3 and 254),
    constraint accounts_password_is_argon2id check (password_hash like '$argon2id$%'),
    constraint accounts_roles_known check (roles <@ array ['customer', 'admin'] and cardinality(roles) > 0)
);

-- One Secret, one administrator.
create unique index accounts_one_from_secret on auth.accounts (from_secret) where from_secret;
