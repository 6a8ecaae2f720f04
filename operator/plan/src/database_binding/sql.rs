//! SQL as text: quoting, and the queries that tell what is on a server.

/// Roles by name: `$1` is `text[]`. Columns: `name text, comment text?, can_login bool`.
pub const ROLES_QUERY: &str = "select rolname::text as name, shobj_description(oid, 'pg_authid') as comment, \
     rolcanlogin as can_login from pg_catalog.pg_roles where rolname = any($1)";

/// A database by name: `$1` is `text`. Columns: `owner text, comment text?, public_may_connect bool`.
pub const DATABASE_QUERY: &str = "select pg_catalog.pg_get_userbyid(datdba)::text as owner, \
     shobj_description(oid, 'pg_database') as comment, \
     coalesce((select bool_or(acl.grantee = 0 and acl.privilege_type = 'CONNECT') \
     from pg_catalog.aclexplode(coalesce(datacl, pg_catalog.acldefault('d', datdba))) acl), false) as public_may_connect \
     from pg_catalog.pg_database where datname = $1";

/// Whether the administrator is a superuser. Column: `is_superuser bool`.
pub const ADMIN_QUERY: &str =
    "select rolsuper as is_superuser from pg_catalog.pg_roles where rolname = current_user";

/// Memberships: `$1` is `text` (the owner role). Column: `member text`.
pub const MEMBERS_QUERY: &str = "select pg_catalog.pg_get_userbyid(m.member)::text as member \
     from pg_catalog.pg_auth_members m where m.roleid = (select oid from pg_catalog.pg_roles where rolname = $1)";

/// In the binding's own database: installed extensions. Column: `name text`.
pub const EXTENSIONS_QUERY: &str = "select extname::text as name from pg_catalog.pg_extension";

/// In the binding's own database: schemas with tables of users. Column: `name text`.
pub const SCHEMAS_QUERY: &str = "select nspname::text as name from pg_catalog.pg_namespace \
     where nspname !~ '^pg_' and nspname <> 'information_schema' order by nspname";

/// In the binding's own database: whether a reader or writer lacks something.
/// `$1` is `text` (the login role), `$2` is `text` (a comma-separated list of table privileges),
/// `$3` is `text` (the database's owner). Column: `lacks bool`.
pub const LACKS_QUERY: &str = "select exists (select 1 from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' \
     and (not has_schema_privilege($1, n.oid, 'USAGE') or exists (select 1 from unnest(string_to_array($2, ',')) p \
     where not has_table_privilege($1, c.oid, p)))) \
     or not exists (select 1 from pg_catalog.pg_default_acl d, pg_catalog.aclexplode(d.defaclacl) a \
     where d.defaclrole = (select oid from pg_catalog.pg_roles where rolname = $3) and d.defaclobjtype = 'r' \
     and a.grantee = (select oid from pg_catalog.pg_roles where rolname = $1)) as lacks";

/// An identifier, in double quotes. A zero byte cannot be in one and is dropped.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('\0', "").replace('"', "\"\""))
}

/// A text, in single quotes, whatever `standard_conforming_strings` says.
pub fn quote_literal(text: &str) -> String {
    let clean = text.replace('\0', "").replace('\'', "''");
    if clean.contains('\\') {
        format!("E'{}'", clean.replace('\\', "\\\\"))
    } else {
        format!("'{clean}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_cannot_end_the_name() {
        assert_eq!(
            quote_identifier(r#"a"; drop database x; --"#),
            r#""a""; drop database x; --""#
        );
    }

    #[test]
    fn a_quote_or_backslash_in_a_text_cannot_end_the_text() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal(r"a\' or 1=1"), r"E'a\\'' or 1=1'");
    }

    #[test]
    fn a_zero_byte_does_not_get_through() {
        assert_eq!(quote_identifier("a\0b"), "\"ab\"");
        assert_eq!(quote_literal("a\0b"), "'ab'");
    }
}
