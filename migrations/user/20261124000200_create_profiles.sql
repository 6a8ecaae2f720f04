-- What a person told the shop. One row per account; auth owns the account itself, so there is no
-- foreign key: another room, often another database.
create table users.profiles (
    user_id    uuid        primary key,
    username   text        not null,
    email      text        not null,
    first_name text        not null default '',
    last_name  text        not null default '',
    -- Counts edits; the ETag.
    version    bigint      not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint profiles_version_positive check (version > 0),
    constraint profiles_first_name_length check (char_length(first_name) <= 100),
    constraint profiles_last_name_length check (char_length(last_name) <= 100)
);
