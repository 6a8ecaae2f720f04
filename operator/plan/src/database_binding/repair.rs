//! From what is wanted and what was seen to the statements that are missing. When everything is
//! right there are none: a binding at rest writes nothing.

use crds::Access;

use crate::backing::postgres;

use super::audit::{Inside, Role, Schema, Seen};
use super::names::Wanted;
use super::statement::{Statement, name, text};

/// Connections that one database of a shop's own server may have: half of what the server has, so that the
/// services do not lack any because one of them, or whoever has its Secret, takes all.
const CONNECTIONS: i32 = postgres::CONNECTIONS / 2;

/// Groups and database, as seen from outside. Only a binding with access Owner tends them.
pub fn outside(wanted: &Wanted, seen: &Seen) -> Vec<Statement> {
    if wanted.access != Access::Owner {
        return Vec::new();
    }
    let mut statements = Vec::new();
    statements.extend(close_server(wanted, seen));
    statements.extend(make_groups(wanted, seen));
    statements.extend(mend_groups(wanted, seen));
    let names = &wanted.names;
    match &seen.database {
        None => statements.push(Statement::administer(
            "create the database",
            // Cannot run in a transaction; template0 so that nobody's template1 leaks in.
            format!(
                "create database {} owner {} template template0 encoding 'UTF8'",
                name(&names.database),
                name(&names.owner)
            ),
        )),
        Some(database) if database.owner != names.owner => statements.push(Statement::administer(
            "give the database to its owner group",
            format!(
                "alter database {} owner to {}",
                name(&names.database),
                name(&names.owner)
            ),
        )),
        Some(_) => {}
    }
    statements.extend(mark_database(wanted, seen));
    statements.extend(open_database(wanted, seen));
    statements
}

/// On a shop's own server nobody but its administrator has business in the server's own databases.
fn close_server(wanted: &Wanted, seen: &Seen) -> Option<Statement> {
    let close = |database: &String| {
        let database = name(database);
        format!("revoke all on database {database} from public")
    };
    let lines: Vec<String> = seen.facts.open_to_all.iter().map(close).collect();
    let is_ours = wanted.own_server && seen.facts.superuser;
    (is_ours && !lines.is_empty())
        .then(|| Statement::administer("close the server's own databases", lines.join("; ")))
}

fn make_groups(wanted: &Wanted, seen: &Seen) -> Option<Statement> {
    let missing: Vec<_> = wanted
        .groups()
        .into_iter()
        .filter(|group| !seen.roles.contains_key(*group))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let mut lines = Vec::new();
    for group in missing {
        lines.push(format!("create role {} nologin", name(group)));
        lines.push(comment_role(wanted, group));
        if !seen.facts.superuser {
            // To give a database away, its giver has to be a member of the taker.
            lines.push(format!("grant {} to current_user", name(group)));
        }
    }
    // One transaction: a role of ours without a mark never exists.
    Some(Statement::administer(
        "create the group roles",
        lines.join("; "),
    ))
}

fn mend_groups(wanted: &Wanted, seen: &Seen) -> Vec<Statement> {
    let names = &wanted.names;
    let mut statements = Vec::new();
    for group in wanted.groups() {
        let Some(role) = seen.roles.get(group) else {
            continue;
        };
        let mut lines = attributes(group, role, false);
        if role.comment.as_deref() != Some(wanted.mark.to_string().as_str()) {
            lines.push(comment_role(wanted, group));
        }
        if !role.administered {
            lines.push(format!("grant {} to current_user", name(group)));
        }
        if !lines.is_empty() {
            statements.push(Statement::administer("mend a group role", lines.join("; ")));
        }
    }
    let member = |member: &str, group: &str| {
        seen.roles
            .get(member)
            .is_some_and(|role| role.member_of.iter().any(|of| of == group))
    };
    if !member(&names.writer, &names.reader) {
        statements.push(Statement::administer(
            "let writers read",
            format!("grant {} to {}", name(&names.reader), name(&names.writer)),
        ));
    }
    statements
}

/// What in a role's attributes is not as it should be. Names only what differs: an administrator
/// who is no superuser may not even repeat that a role is none.
fn attributes(role_name: &str, role: &Role, login: bool) -> Vec<String> {
    let mut words = Vec::new();
    if role.login != login {
        words.push(if login {
            "login".to_owned()
        } else {
            "nologin".to_owned()
        });
    }
    if role.limited {
        words.push("connection limit -1 valid until 'infinity'".to_owned());
    }
    words.extend(
        role.elevated
            .iter()
            .map(|attribute| match attribute.as_str() {
                "noinherit" => "inherit".to_owned(),
                elevated => format!("no{elevated}"),
            }),
    );
    if words.is_empty() {
        Vec::new()
    } else {
        vec![format!(
            "alter role {} {}",
            name(role_name),
            words.join(" ")
        )]
    }
}

fn comment_role(wanted: &Wanted, role: &str) -> String {
    format!(
        "comment on role {} is {}",
        name(role),
        text(&wanted.mark.to_string())
    )
}

fn mark_database(wanted: &Wanted, seen: &Seen) -> Option<Statement> {
    let mark = wanted.mark.to_string();
    let marked = seen
        .database
        .as_ref()
        .and_then(|database| database.comment.as_ref());
    (marked != Some(&mark)).then(|| {
        Statement::administer(
            "mark the database",
            format!(
                "comment on database {} is {}",
                name(&wanted.names.database),
                text(&mark)
            ),
        )
    })
}

fn open_database(wanted: &Wanted, seen: &Seen) -> Option<Statement> {
    let names = &wanted.names;
    let database = name(&names.database);
    let mut lines = Vec::new();
    let has = |grant: &str| {
        seen.database
            .as_ref()
            .is_some_and(|database| database.grants.contains(grant))
    };
    let fresh = seen.database.is_none();
    let public = seen.database.as_ref().is_some_and(|database| {
        database
            .grants
            .iter()
            .any(|grant| grant.starts_with("PUBLIC="))
    });
    if fresh || public {
        lines.push(format!("revoke all on database {database} from public"));
    }
    let own = ["CONNECT", "CREATE", "TEMPORARY"];
    if !fresh
        && own
            .iter()
            .any(|right| !has(&format!("{}={right}", names.owner)))
    {
        lines.push(format!(
            "grant all on database {database} to {}",
            name(&names.owner)
        ));
    }
    for group in [&names.reader, &names.writer] {
        if !has(&format!("{group}=CONNECT")) {
            lines.push(format!(
                "grant connect on database {database} to {}",
                name(group)
            ));
        }
    }
    let limit = seen.database.as_ref().map_or(-1, |it| it.connections);
    if wanted.own_server && limit != CONNECTIONS {
        lines.push(format!(
            "alter database {database} connection limit {CONNECTIONS}"
        ));
    }
    if seen
        .database
        .as_ref()
        .is_some_and(|database| !database.open)
    {
        lines.push(format!(
            "alter database {database} with allow_connections true"
        ));
    }
    (!lines.is_empty())
        .then(|| Statement::administer("open the database to its roles only", lines.join("; ")))
}

/// Extensions, schemas and default privileges. Only a binding with access Owner tends them.
pub fn inside(wanted: &Wanted, inside: &Inside) -> Vec<Statement> {
    if wanted.access != Access::Owner {
        return Vec::new();
    }
    let database = wanted.names.database.as_str();
    let mut statements = Vec::new();
    let defaults = default_privileges(wanted, inside);
    if !defaults.is_empty() {
        statements.push(Statement::inside(
            "set the rights on future tables",
            database,
            defaults.join("; "),
        ));
    }
    if wanted.own_server && inside.large_objects_for_all {
        // Whoever may only read shall not fill the disk. The functions are the server's, so it needs its
        // superuser.
        let functions = "pg_catalog.lo_create(oid), pg_catalog.lo_creat(integer), \
                         pg_catalog.lo_from_bytea(oid, bytea)";
        let owner = name(&wanted.names.owner);
        statements.push(Statement::inside(
            "keep large objects to the owner",
            database,
            format!(
                "revoke execute on function {functions} from public; \
                 grant execute on function {functions} to {owner}"
            ),
        ));
    }
    let missing = |extension: &&&str| !inside.extensions.contains(**extension);
    for extension in wanted.extensions.iter().filter(missing) {
        statements.push(Statement::inside(
            "create an extension",
            database,
            format!(
                "create extension if not exists {} with schema public",
                name(extension)
            ),
        ));
    }
    for (schema, seen) in &inside.schemas {
        let lines = schema_grants(wanted, schema, seen);
        if !lines.is_empty() {
            statements.push(Statement::inside(
                "grant rights in a schema",
                database,
                lines.join("; "),
            ));
        }
    }
    statements
}

fn default_privileges(wanted: &Wanted, inside: &Inside) -> Vec<String> {
    let names = &wanted.names;
    // PostgreSQL's letter for the kind, its words, who gets what.
    let rules: [(&str, &str, &str, &[&str]); 6] = [
        ("n", "schemas", &names.reader, &["usage"]),
        ("n", "schemas", &names.writer, &["usage"]),
        ("r", "tables", &names.reader, &["select"]),
        (
            "r",
            "tables",
            &names.writer,
            &["insert", "update", "delete"],
        ),
        ("S", "sequences", &names.reader, &["select"]),
        ("S", "sequences", &names.writer, &["usage"]),
    ];
    rules
        .into_iter()
        .filter(|(kind, _, group, rights)| {
            rights.iter().any(|right| {
                let entry = format!("{kind} {group}={}", right.to_uppercase());
                !inside.defaults.contains(&entry)
            })
        })
        .map(|(_, kinds, group, rights)| {
            format!(
                "alter default privileges for role {} grant {} on {kinds} to {}",
                name(&names.owner),
                rights.join(", "),
                name(group)
            )
        })
        .collect()
}

fn schema_grants(wanted: &Wanted, schema: &str, seen: &Schema) -> Vec<String> {
    let (owner, writer, reader) = (
        name(&wanted.names.owner),
        name(&wanted.names.writer),
        name(&wanted.names.reader),
    );
    let schema = name(schema);
    let line = |lack: &String| match lack.as_str() {
        "reader:usage" => Some(format!("grant usage on schema {schema} to {reader}")),
        "writer:usage" => Some(format!("grant usage on schema {schema} to {writer}")),
        "reader:tables" => Some(format!(
            "grant select on all tables in schema {schema} to {reader}"
        )),
        "writer:tables" => Some(format!(
            "grant insert, update, delete on all tables in schema {schema} to {writer}"
        )),
        "reader:sequences" => Some(format!(
            "grant select on all sequences in schema {schema} to {reader}"
        )),
        "writer:sequences" => Some(format!(
            "grant usage on all sequences in schema {schema} to {writer}"
        )),
        "owner:create" => Some(format!("grant all on schema {schema} to {owner}")),
        "public:create" => Some(format!("revoke create on schema {schema} from public")),
        _ => None,
    };
    seen.lacks.iter().filter_map(line).collect()
}

/// The login role. `verifier` is given when its password has to be set.
pub fn login(wanted: &Wanted, seen: &Seen, verifier: Option<&str>) -> Vec<Statement> {
    let login = name(&wanted.names.login);
    let group = name(wanted.group());
    // Objects that the owner's user makes belong to the group, so that they outlive the login role.
    let acts_as_owner = || {
        format!(
            "alter role {login} set role = {}",
            text(&wanted.names.owner)
        )
    };
    let Some(role) = seen.roles.get(&wanted.names.login) else {
        let Some(verifier) = verifier else {
            return Vec::new();
        };
        let mut lines = vec![format!(
            "create role {login} login password {} in role {group}",
            text(verifier)
        )];
        lines.push(comment_role(wanted, &wanted.names.login));
        if wanted.access == Access::Owner {
            lines.push(acts_as_owner());
        }
        return vec![Statement::administer(
            "create the login role",
            lines.join("; "),
        )];
    };
    let mut lines = attributes(&wanted.names.login, role, true);
    if role.comment.as_deref() != Some(wanted.mark.to_string().as_str()) {
        lines.push(comment_role(wanted, &wanted.names.login));
    }
    if !role.member_of.iter().any(|of| of == wanted.group()) {
        lines.push(format!("grant {group} to {login}"));
    }
    let acts = format!("role={}", wanted.names.owner);
    if wanted.access == Access::Owner && !role.settings.contains(&acts) {
        lines.push(acts_as_owner());
    }
    let mut statements = Vec::new();
    if !lines.is_empty() {
        statements.push(Statement::administer(
            "mend the login role",
            lines.join("; "),
        ));
    }
    if let Some(verifier) = verifier {
        statements.push(Statement::administer(
            "set the password",
            format!("alter role {login} password {}", text(verifier)),
        ));
    }
    statements
}
