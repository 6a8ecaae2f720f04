//! The state of a server: the statements that query it, and the decoding of their answers.

use std::collections::{BTreeMap, BTreeSet};

use super::mark::Mark;
use super::names::Wanted;
use super::statement::{Place, Statement, text};

/// Rows as text, the way they come from the server.
pub type Rows = [Vec<Option<String>>];

/// What the administrator may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// May do everything. Managed servers give less.
    pub superuser: bool,
    /// May read password verifiers.
    pub reads_verifiers: bool,
    /// Is a standby: takes no writes.
    pub standby: bool,
    /// Databases of the server itself that everybody may connect to.
    pub open_to_all: Vec<String>,
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// May log in.
    pub login: bool,
    /// Its password or its connections are limited.
    pub limited: bool,
    /// Attributes that none of our roles should have.
    pub elevated: Vec<String>,
    /// Its comment.
    pub comment: Option<String>,
    /// `role=...` and other settings of its sessions.
    pub settings: Vec<String>,
    /// Groups it is a direct member of.
    pub member_of: Vec<String>,
    /// The administrator may act as this role.
    pub administered: bool,
    /// Databases where it owns something or was granted something.
    pub used_in: Vec<String>,
    /// Its password verifier, where it could be read.
    pub verifier: Option<String>,
    /// How many are logged in with it.
    pub sessions: u32,
}

/// A database, from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// The role that owns it.
    pub owner: String,
    /// Its comment.
    pub comment: Option<String>,
    /// Takes connections.
    pub open: bool,
    /// How many at a time; -1: as many as the server.
    pub connections: i32,
    /// `role=PRIVILEGE`; `PUBLIC` for everybody.
    pub grants: BTreeSet<String>,
}

/// A schema of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// What is missing in it: `reader:usage`, `writer:tables` and so on.
    pub lacks: BTreeSet<String>,
}

/// A database, from inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Installed extensions.
    pub extensions: BTreeSet<String>,
    /// `kind role=PRIVILEGE` that the owner's future objects give.
    pub defaults: BTreeSet<String>,
    /// There is a table.
    pub tables: bool,
    /// Everybody may create large objects.
    pub large_objects_for_all: bool,
    /// Schemas of the tenant, by name.
    pub schemas: BTreeMap<String, Schema>,
}

/// What was seen of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What the administrator may do.
    pub facts: Facts,
    /// Those of our roles that exist.
    pub roles: BTreeMap<String, Role>,
    /// Our database, if it exists.
    pub database: Option<Database>,
}

impl Role {
    /// The mark, if the comment is one.
    pub fn mark(&self) -> Option<Mark> {
        self.comment.as_deref().and_then(Mark::parse)
    }
}

impl Database {
    /// The mark, if the comment is one.
    pub fn mark(&self) -> Option<Mark> {
        self.comment.as_deref().and_then(Mark::parse)
    }
}

/// An answer did not have the promised shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer to {0} cannot be read")]
pub struct Unreadable(pub &'static str);

/// Asks what the administrator may do.
pub fn ask_facts() -> Statement {
    Statement::look(
        "read the administrator's rights",
        Place::Administration,
        "select r.rolsuper::text, \
         has_table_privilege('pg_catalog.pg_authid', 'select')::text, \
         pg_is_in_recovery()::text, \
         (select string_agg(d.datname::text, chr(10) order by d.datname) from pg_database d \
           where d.datname in ('postgres', 'template1') \
           and has_database_privilege('public', d.oid, 'connect')) \
         from pg_roles r where r.rolname = current_user"
            .into(),
    )
}

/// Reads the answer to [`ask_facts`].
pub fn read_facts(rows: &Rows) -> Result<Facts, Unreadable> {
    const ASKED: Unreadable = Unreadable("read the administrator's rights");
    let row = rows.first().ok_or(ASKED)?;
    Ok(Facts {
        superuser: flag(row, 0),
        reads_verifiers: flag(row, 1),
        standby: flag(row, 2),
        open_to_all: lines(row, 3),
    })
}

/// Asks for our roles.
pub fn ask_roles(wanted: &Wanted, facts: &Facts) -> Statement {
    let logins = wanted.logins().map(text).join(", ");
    let groups = wanted.groups().map(text).join(", ");
    let verifier = if facts.reads_verifiers {
        format!(
            "(select a.rolpassword from pg_authid a where a.oid = r.oid and a.rolname in ({logins}))"
        )
    } else {
        "null".into()
    };
    // Whatever else carries this object's name in its mark was left by a predecessor. Kubernetes
    // names hold neither of the two characters that mean something to LIKE.
    let kin = text(&format!(
        "storefront.dev: binding={}/{} uid=%",
        wanted.mark.namespace, wanted.mark.name
    ));
    Statement::look(
        "read the roles",
        Place::Administration,
        format!(
            "select r.rolname::text, r.rolcanlogin::text, \
             (r.rolconnlimit <> -1 or coalesce(r.rolvaliduntil, 'infinity') <> 'infinity')::text, \
             concat_ws(' ', case when r.rolsuper then 'superuser' end, \
               case when r.rolcreatedb then 'createdb' end, \
               case when r.rolcreaterole then 'createrole' end, \
               case when r.rolreplication then 'replication' end, \
               case when r.rolbypassrls then 'bypassrls' end, \
               case when not r.rolinherit then 'noinherit' end), \
             shobj_description(r.oid, 'pg_authid'), \
             array_to_string(r.rolconfig, chr(10)), \
             (select string_agg(g.rolname::text, chr(10)) from pg_auth_members m \
               join pg_roles g on g.oid = m.roleid where m.member = r.oid), \
             pg_has_role(r.oid, 'member')::text, \
             (select string_agg(distinct d.datname::text, chr(10)) from pg_shdepend s \
               join pg_database d on d.oid = s.dbid \
               where s.refclassid = 'pg_authid'::regclass and s.refobjid = r.oid), \
             {verifier}, \
             (select count(*)::text from pg_stat_activity t where t.usesysid = r.oid) \
             from pg_roles r where r.rolname in ({groups}, {logins}) \
             or shobj_description(r.oid, 'pg_authid') like {kin}"
        ),
    )
}

/// Reads the answer to [`ask_roles`].
pub fn read_roles(rows: &Rows) -> Result<BTreeMap<String, Role>, Unreadable> {
    rows.iter()
        .map(|row| {
            let role = Role {
                login: flag(row, 1),
                limited: flag(row, 2),
                elevated: words(row, 3),
                comment: value(row, 4),
                settings: lines(row, 5),
                member_of: lines(row, 6),
                administered: flag(row, 7),
                used_in: lines(row, 8),
                verifier: value(row, 9),
                sessions: value(row, 10).and_then(|n| n.parse().ok()).unwrap_or(0),
            };
            Ok((value(row, 0).ok_or(Unreadable("read the roles"))?, role))
        })
        .collect()
}

/// Asks for our database.
pub fn ask_database(wanted: &Wanted) -> Statement {
    Statement::look(
        "read the database",
        Place::Administration,
        format!(
            "select pg_get_userbyid(d.datdba)::text, shobj_description(d.oid, 'pg_database'), \
             d.datallowconn::text, \
             (select string_agg(case when a.grantee = 0 then 'PUBLIC' \
               else pg_get_userbyid(a.grantee)::text end || '=' || a.privilege_type, chr(10)) \
               from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a), \
             d.datconnlimit::text \
             from pg_database d where d.datname = {}",
            text(&wanted.names.database)
        ),
    )
}

/// Reads the answer to [`ask_database`].
pub fn read_database(rows: &Rows) -> Result<Option<Database>, Unreadable> {
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(Database {
        owner: value(row, 0).ok_or(Unreadable("read the database"))?,
        comment: value(row, 1),
        open: flag(row, 2),
        grants: lines(row, 3).into_iter().collect(),
        connections: value(row, 4).and_then(|n| n.parse().ok()).unwrap_or(-1),
    }))
}

/// Asks what is inside our database. Of the tenant's schemas it sees those that the administrator
/// may grant on: what it cannot repair, it does not count as missing.
pub fn ask_inside(wanted: &Wanted) -> Statement {
    let names = &wanted.names;
    let (owner, writer, reader) = (text(&names.owner), text(&names.writer), text(&names.reader));
    let relations = |kinds: &str, lacking: &str| {
        format!(
            "exists (select from pg_class c where c.relnamespace = n.oid and c.relkind in ({kinds}) \
             and pg_has_role(c.relowner, 'usage') and not ({lacking}))"
        )
    };
    let tables = "'r', 'p', 'v', 'm', 'f'";
    let reads = relations(
        tables,
        &format!("has_table_privilege({reader}, c.oid, 'select')"),
    );
    let all_writes = relations(
        tables,
        &["insert", "update", "delete"]
            .map(|right| format!("has_table_privilege({writer}, c.oid, '{right}')"))
            .join(" and "),
    );
    // The case keeps the planner from asking about a relation that is no sequence.
    let sequence = |role: &str, right: &str| {
        format!(
            "case when c.relkind = 'S' then has_sequence_privilege({role}, c.oid, '{right}') else true end"
        )
    };
    let read_sequences = relations("'S'", &sequence(&reader, "select"));
    let use_sequences = relations("'S'", &sequence(&writer, "usage"));
    Statement::look(
        "read the database's inside",
        Place::Database(names.database.clone()),
        format!(
            "select 'extension', e.extname::text, '' from pg_extension e \
             union all select 'tables', 'any', '' where exists (select from pg_class c \
               join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') \
               and n.nspname !~ '^pg_' and n.nspname <> 'information_schema') \
             union all select 'large objects', 'public', '' \
               where has_function_privilege('public', 'lo_create(oid)', 'execute') \
             union all select 'default', d.defaclobjtype::text, \
               pg_get_userbyid(a.grantee)::text || '=' || a.privilege_type \
               from pg_default_acl d, aclexplode(d.defaclacl) a \
               where d.defaclnamespace = 0 and pg_get_userbyid(d.defaclrole) = {owner} \
             union all select 'schema', n.nspname::text, concat_ws(' ', \
               case when not has_schema_privilege({reader}, n.oid, 'usage') then 'reader:usage' end, \
               case when not has_schema_privilege({writer}, n.oid, 'usage') then 'writer:usage' end, \
               case when {reads} then 'reader:tables' end, \
               case when {all_writes} then 'writer:tables' end, \
               case when {read_sequences} then 'reader:sequences' end, \
               case when {use_sequences} then 'writer:sequences' end, \
               case when n.nspname = 'public' and not has_schema_privilege({owner}, n.oid, 'create') \
                 then 'owner:create' end, \
               case when n.nspname = 'public' and exists (select from aclexplode(n.nspacl) a \
                 where a.grantee = 0 and a.privilege_type = 'CREATE') then 'public:create' end) \
               from pg_namespace n where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' \
               and pg_has_role(n.nspowner, 'usage')"
        ),
    )
}

/// Reads the answer to [`ask_inside`].
pub fn read_inside(rows: &Rows) -> Result<Inside, Unreadable> {
    const ASKED: Unreadable = Unreadable("read the database's inside");
    let mut inside = Inside::default();
    for row in rows {
        let named = value(row, 1).ok_or(ASKED)?;
        match row.first().and_then(Option::as_deref) {
            Some("extension") => {
                inside.extensions.insert(named);
            }
            Some("tables") => inside.tables = true,
            Some("large objects") => inside.large_objects_for_all = true,
            Some("default") => {
                inside
                    .defaults
                    .insert(format!("{named} {}", value(row, 2).ok_or(ASKED)?));
            }
            Some("schema") => {
                let lacks = words(row, 2).into_iter().collect();
                inside.schemas.insert(named, Schema { lacks });
            }
            _ => return Err(ASKED),
        }
    }
    Ok(inside)
}

fn value(row: &[Option<String>], column: usize) -> Option<String> {
    row.get(column).cloned().flatten()
}

fn flag(row: &[Option<String>], column: usize) -> bool {
    row.get(column).and_then(Option::as_deref) == Some("true")
}

fn lines(row: &[Option<String>], column: usize) -> Vec<String> {
    let text = value(row, column).unwrap_or_default();
    text.split('\n')
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn words(row: &[Option<String>], column: usize) -> Vec<String> {
    value(row, column)
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}
