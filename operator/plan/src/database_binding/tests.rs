//! What may never happen to somebody else's roles and databases, whatever is found on a server.

use std::collections::BTreeMap;

use crds::{Access, DeletionPolicy};
use proptest::prelude::*;

use super::audit::{Database, Facts, Inside, Role, Schema, Seen};
use super::claim::{Claim, judge};
use super::mark::{Hold, Mark};
use super::names::{Names, Wanted};
use super::repair::{inside, login, outside};
use super::retire::{predecessors, retire, shut_spare};

fn mark(name: &str, uid: &str, hold: Hold) -> Mark {
    Mark {
        namespace: "shops".into(),
        name: name.into(),
        uid: uid.into(),
        hold,
    }
}

fn wanted(access: Access, own_server: bool) -> Wanted {
    let names = Names {
        database: "shop".into(),
        owner: "shop_owner".into(),
        writer: "shop_writer".into(),
        reader: "shop_reader".into(),
        login: "shops_demo_00000001".into(),
        spare: "shops_demo_00000002".into(),
        secret: "demo-db".into(),
    };
    let mark = mark("demo", "u1", Hold::Bound);
    Wanted {
        names,
        mark,
        number: 0,
        lost: false,
        recreation: None,
        access,
        extensions: vec!["citext"],
        own_server,
    }
}

/// Comments that roles and databases are found with.
fn comments() -> impl Strategy<Value = Option<String>> {
    prop::sample::select(vec![
        None,
        Some("made by hand".to_owned()),
        Some(mark("demo", "u1", Hold::Bound).to_string()),
        Some(mark("demo", "u1", Hold::Retained).to_string()),
        Some(mark("demo", "u0", Hold::Bound).to_string()),
        Some(mark("demo", "u0", Hold::Retained).to_string()),
        Some(mark("other", "u2", Hold::Bound).to_string()),
        Some(mark("other", "u2", Hold::Retained).to_string()),
    ])
}

fn servers() -> impl Strategy<Value = Seen> {
    let names = [
        "shop_owner",
        "shop_writer",
        "shop_reader",
        "shops_demo_00000001",
        "shops_demo_00000002",
        "shops_demo_00000000",
    ];
    let roles = names.map(|name| (Just(name), prop::option::of(comments()), any::<bool>()));
    let owners = prop::sample::select(vec!["shop_owner", "postgres"]);
    let database = prop::option::of((owners, comments()));
    (Vec::from(roles), database, any::<bool>()).prop_map(|(roles, database, superuser)| {
        let role = |comment, used: bool| Role {
            login: used,
            comment,
            used_in: if used {
                vec!["shop".into(), "elsewhere".into()]
            } else {
                Vec::new()
            },
            ..Role::default()
        };
        Seen {
            facts: Facts {
                superuser,
                ..Facts::default()
            },
            roles: roles
                .into_iter()
                .filter_map(|(name, comment, used)| Some((name.to_owned(), role(comment?, used))))
                .collect(),
            database: database.map(|(owner, comment)| Database {
                owner: owner.into(),
                comment,
                ..Database::default()
            }),
        }
    })
}

fn accesses() -> impl Strategy<Value = Access> {
    prop::sample::select(vec![Access::Owner, Access::ReadWrite, Access::ReadOnly])
}

fn policies() -> impl Strategy<Value = DeletionPolicy> {
    use DeletionPolicy::{BackupThenDelete, Delete, Retain};
    prop::sample::select(vec![Retain, Delete, BackupThenDelete])
}

fn uid(seen: &Seen, role: &str) -> Option<String> {
    Some(seen.roles.get(role)?.mark()?.uid)
}

/// The roles that a list of statements changes or drops.
fn touched<'a>(seen: &'a Seen, texts: &[String]) -> Vec<&'a str> {
    let verbs = [
        "drop role if exists",
        "alter role",
        "comment on role",
        "reassign owned by",
    ];
    let is_touched = |name: &str| {
        texts.iter().any(|text| {
            verbs
                .iter()
                .any(|verb| text.contains(&format!("{verb} \"{name}\"")))
        })
    };
    seen.roles
        .keys()
        .map(String::as_str)
        .filter(|name| is_touched(name))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn an_end_touches_only_what_carries_our_mark(
        seen in servers(), access in accesses(), policy in policies(), own in any::<bool>(),
    ) {
        let wanted = wanted(access, own);
        let texts: Vec<String> =
            retire(&wanted, &seen, policy).into_iter().map(|statement| statement.text).collect();
        for role in touched(&seen, &texts) {
            prop_assert_eq!(uid(&seen, role), Some("u1".to_owned()), "{}", role);
        }
        if texts.iter().any(|text| text.contains("drop database")) {
            let database = seen.database.as_ref().expect("what is dropped was seen");
            let vouched = database.owner == "shop_owner"
                && uid(&seen, "shop_owner").as_deref() == Some("u1");
            let ours = vouched || database.mark().is_some_and(|mark| mark.uid == "u1");
            prop_assert!(ours && access == Access::Owner && policy != DeletionPolicy::Retain);
        }
    }

    #[test]
    fn what_is_retained_is_not_dropped(seen in servers(), access in accesses()) {
        for statement in retire(&wanted(access, true), &seen, DeletionPolicy::Retain) {
            prop_assert!(!statement.text.contains("drop database"));
            for group in ["owner", "writer", "reader"] {
                let drop = format!("drop role if exists \"shop_{group}\"");
                prop_assert!(!statement.text.contains(&drop));
            }
        }
    }

    #[test]
    fn an_owner_is_let_in_only_where_nothing_is_somebody_elses(
        seen in servers(), own in any::<bool>(),
    ) {
        let wanted = wanted(Access::Owner, own);
        if judge(&wanted, &seen) != Claim::Granted {
            return Ok(());
        }
        let fine = |mark: Option<Mark>| mark.is_some_and(|mark| {
            mark.uid == "u1" || (mark.name == "demo" && (own || mark.hold == Hold::Retained))
        });
        for group in wanted.groups() {
            prop_assert!(seen.roles.get(group).is_none_or(|role| fine(role.mark())), "{}", group);
        }
        if let Some(database) = &seen.database {
            let vouched = database.owner == "shop_owner" && seen.roles.contains_key("shop_owner");
            prop_assert!(vouched || fine(database.mark()));
        }
    }

    #[test]
    fn whoever_shares_a_database_needs_the_consent_that_its_owner_role_names(
        seen in servers(), own in any::<bool>(), writes in any::<bool>(),
    ) {
        let access = if writes { Access::ReadWrite } else { Access::ReadOnly };
        match judge(&wanted(access, own), &seen) {
            Claim::Granted => prop_assert!(false, "it is nobody's to open"),
            Claim::Shared(owner) => {
                prop_assert_eq!(uid(&seen, "shop_owner"), Some(owner.uid));
            }
            Claim::Waits(_) | Claim::Refused(_) => {}
        }
    }

    #[test]
    fn only_our_own_other_role_is_ever_shut(seen in servers(), access in accesses()) {
        let texts: Vec<String> = shut_spare(&wanted(access, true), &seen)
            .into_iter()
            .map(|statement| statement.text)
            .collect();
        for role in touched(&seen, &texts) {
            prop_assert_eq!(role, "shops_demo_00000002");
            prop_assert_eq!(uid(&seen, role), Some("u1".to_owned()));
        }
    }

    #[test]
    fn only_roles_of_the_same_name_are_predecessors(seen in servers(), own in any::<bool>()) {
        let texts: Vec<String> = predecessors(&wanted(Access::Owner, own), &seen)
            .into_iter()
            .map(|statement| statement.text)
            .collect();
        for role in touched(&seen, &texts) {
            prop_assert!(own);
            prop_assert_eq!(role, "shops_demo_00000000");
            prop_assert_eq!(seen.roles[role].mark().map(|mark| mark.name), Some("demo".to_owned()));
        }
    }
}

/// A server on which everything is as it should be.
fn perfect(wanted: &Wanted) -> (Seen, Inside) {
    let mark = Some(wanted.mark.to_string());
    let role = |login: bool, member_of: &[&str], settings: &[&str]| Role {
        login,
        comment: mark.clone(),
        member_of: member_of.iter().map(|&group| group.into()).collect(),
        settings: settings.iter().map(|&setting| setting.into()).collect(),
        administered: true,
        ..Role::default()
    };
    let roles = BTreeMap::from([
        ("shop_owner".to_owned(), role(false, &[], &[])),
        ("shop_writer".to_owned(), role(false, &["shop_reader"], &[])),
        ("shop_reader".to_owned(), role(false, &[], &[])),
        (
            wanted.names.login.clone(),
            role(true, &["shop_owner"], &["role=shop_owner"]),
        ),
    ]);
    let grants = ["CONNECT", "CREATE", "TEMPORARY"].map(|right| format!("shop_owner={right}"));
    let shared = ["shop_reader=CONNECT", "shop_writer=CONNECT"].map(str::to_owned);
    let database = Database {
        owner: "shop_owner".into(),
        comment: mark,
        open: true,
        connections: 100,
        grants: grants.into_iter().chain(shared).collect(),
    };
    let defaults = [
        "n shop_reader=USAGE",
        "n shop_writer=USAGE",
        "r shop_reader=SELECT",
        "r shop_writer=INSERT",
        "r shop_writer=UPDATE",
        "r shop_writer=DELETE",
        "S shop_reader=SELECT",
        "S shop_writer=USAGE",
    ];
    let inside = Inside {
        extensions: ["citext", "plpgsql"].map(str::to_owned).into(),
        defaults: defaults.map(str::to_owned).into(),
        schemas: BTreeMap::from([("public".to_owned(), Schema::default())]),
        tables: true,
        large_objects_for_all: false,
    };
    let facts = Facts {
        superuser: true,
        reads_verifiers: true,
        standby: false,
        open_to_all: Vec::new(),
    };
    (
        Seen {
            facts,
            roles,
            database: Some(database),
        },
        inside,
    )
}

#[test]
fn a_binding_at_rest_writes_nothing() {
    let wanted = wanted(Access::Owner, true);
    let (seen, within) = perfect(&wanted);
    assert_eq!(judge(&wanted, &seen), Claim::Granted);
    assert_eq!(outside(&wanted, &seen), []);
    assert_eq!(inside(&wanted, &within), []);
    assert_eq!(login(&wanted, &seen, None), []);
    assert_eq!(predecessors(&wanted, &seen), []);
}

#[test]
fn the_other_role_is_shut_until_nobody_can_use_it() {
    let wanted = wanted(Access::Owner, true);
    let (mut seen, _) = perfect(&wanted);
    let purposes = |seen: &Seen| {
        let statements = shut_spare(&wanted, seen).into_iter();
        statements.map(|s| s.purpose).collect::<Vec<_>>()
    };
    assert_eq!(purposes(&seen), [""; 0], "there is none yet");
    let used = seen.roles[&wanted.names.login].clone();
    seen.roles.insert(wanted.names.spare.clone(), used);
    let (close, end) = ("close the old login role", "end the login role's sessions");
    assert_eq!(purposes(&seen), [close, end]);
    let mut change = |change: fn(&mut Role)| {
        change(seen.roles.get_mut(&wanted.names.spare).expect("there"));
        purposes(&seen)
    };
    assert_eq!(
        change(|role| role.verifier = Some("SCRAM".into())),
        [close, end]
    );
    assert_eq!(
        change(|role| role.login = false),
        [close],
        "it has a password"
    );
    assert_eq!(change(|role| role.sessions = 2), [close, end]);
    assert_eq!(change(|role| role.verifier = None), [end]);
    assert_eq!(change(|role| role.sessions = 0), [""; 0]);
}

#[test]
fn each_loss_brings_exactly_what_was_lost() {
    let wanted = wanted(Access::Owner, true);
    let purposes = |seen: &Seen, within: &Inside| {
        let mut all = outside(&wanted, seen);
        all.extend(inside(&wanted, within));
        all.extend(login(&wanted, seen, None));
        all.into_iter()
            .map(|statement| statement.purpose)
            .collect::<Vec<_>>()
    };
    let (seen, within) = perfect(&wanted);

    let mut lost = within.clone();
    lost.extensions.remove("citext");
    assert_eq!(purposes(&seen, &lost), ["create an extension"]);

    let mut lost = within.clone();
    lost.defaults.remove("r shop_writer=DELETE");
    assert_eq!(purposes(&seen, &lost), ["set the rights on future tables"]);

    let mut lost = seen.clone();
    lost.roles
        .get_mut("shop_writer")
        .expect("there")
        .member_of
        .clear();
    assert_eq!(purposes(&lost, &within), ["let writers read"]);

    let mut lost = seen.clone();
    lost.database
        .as_mut()
        .expect("there")
        .grants
        .insert("PUBLIC=CONNECT".into());
    assert_eq!(
        purposes(&lost, &within),
        ["open the database to its roles only"]
    );

    let mut lost = seen.clone();
    lost.database.as_mut().expect("there").connections = -1;
    assert_eq!(
        purposes(&lost, &within),
        ["open the database to its roles only"]
    );

    let mut lost = seen.clone();
    lost.facts.open_to_all = vec!["postgres".into()];
    assert_eq!(
        purposes(&lost, &within),
        ["close the server's own databases"]
    );

    let mut lost = within.clone();
    lost.large_objects_for_all = true;
    assert_eq!(purposes(&seen, &lost), ["keep large objects to the owner"]);

    let mut lost = seen.clone();
    lost.roles.get_mut("shop_owner").expect("there").elevated = vec!["superuser".into()];
    assert_eq!(purposes(&lost, &within), ["mend a group role"]);
}
