//! The life of a binding, step by step, and what has to be true after each step.

use serde_json::{Value, json};
use sqlx::Executor;

use super::world::World;

/// The binding of these lives.
pub const NAME: &str = "shop";

/// Something that happens to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The user creates it.
    Create,
    /// The user asks for one more extension.
    Extend,
    /// Somebody takes rights and an extension away, and changes the password.
    Spoil,
    /// Somebody drops the login role.
    DropRole,
    /// Somebody deletes the Secret.
    LoseSecret,
    /// The server gets another address: the Secret has to say so.
    Move,
    /// The user deletes it.
    Delete,
}

/// A life with its policy.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// Its name, for messages.
    pub name: &'static str,
    /// `Owner`, `ReadWrite` or `ReadOnly`.
    pub access: &'static str,
    /// `reclaimPolicy`.
    pub policy: &'static str,
    /// What happens, in order.
    pub steps: &'static [Step],
}

/// The owner of a database, deleted with everything.
pub const OWNER: Life = Life {
    name: "owner",
    access: "Owner",
    policy: "Delete",
    steps: &[
        Step::Create,
        Step::Extend,
        Step::Spoil,
        Step::DropRole,
        Step::LoseSecret,
        Step::Move,
        Step::Delete,
    ],
};
/// The owner of a database that stays, is adopted by a successor, and stays again.
pub const KEEPER: Life = Life {
    name: "keeper",
    access: "Owner",
    policy: "Retain",
    steps: &[Step::Create, Step::Delete, Step::Create, Step::Delete],
};
/// A second user of somebody's database.
pub const SHARER: Life = Life {
    name: "sharer",
    access: "ReadWrite",
    policy: "Delete",
    steps: &[Step::Create, Step::Spoil, Step::LoseSecret, Step::Delete],
};

impl Life {
    /// Makes the world that this life begins in. Nothing is done to calls yet.
    pub async fn prepare(&self, world: &mut World) {
        if self.access != "Owner" {
            world.create(
                "first",
                json!({ "database": database(world), "reclaimPolicy": "Delete" }),
            );
            world.settle("first").await;
        }
    }

    /// Lives one step and checks what has to be true after it.
    pub async fn step(&self, world: &mut World, step: Step) {
        self.happen(world, step).await;
        world.settle(NAME).await;
        if step == Step::Delete {
            self.check_gone(world).await;
        } else {
            self.check_ready(world, step).await;
        }
    }

    /// Lives one step while calls fail, then in peace, and checks what has to be true after it.
    pub async fn stumble(&self, world: &mut World, step: Step) {
        self.happen(world, step).await;
        for _ in 0..4 {
            drop(world.once(NAME).await);
        }
        world.chaos.calm();
        world.settle(NAME).await;
        if step == Step::Delete {
            self.check_gone(world).await;
        } else {
            self.check_ready(world, step).await;
        }
    }

    async fn happen(&self, world: &World, step: Step) {
        let database = database(world);
        match step {
            Step::Create => {
                let mut spec = json!({
                    "access": self.access, "reclaimPolicy": self.policy, "database": database,
                });
                if self.access == "Owner" {
                    spec["extensions"] = json!(["citext"]);
                }
                world.create(NAME, spec);
            }
            Step::Extend => world.api.edit(&world.binding_path(NAME), |binding| {
                binding["spec"]["extensions"] = json!(["citext", "pg_trgm"]);
            }),
            Step::Spoil => self.spoil(world, &database).await,
            Step::DropRole => {
                let role = world.secret(&secret())["username"].clone();
                world
                    .sql(
                        &database,
                        &format!("drop owned by {role}; drop role {role}"),
                    )
                    .await;
            }
            Step::LoseSecret => world.api.delete(&world.secret_path(&secret())),
            Step::Move => {
                let moved = operator_plan::database_binding::Server {
                    host: "localhost".into(),
                    ..world.server.clone()
                };
                world.put_server(&moved);
            }
            Step::Delete => world.api.delete(&world.binding_path(NAME)),
        }
    }

    async fn spoil(&self, world: &World, database: &str) {
        let role = world.secret(&secret())["username"].clone();
        let group = match self.access {
            "Owner" => "owner",
            "ReadWrite" => "writer",
            _ => "reader",
        };
        world
            .sql(
                "postgres",
                &format!(
                    "alter role {role} nologin createdb password 'stolen'; \
                     revoke {database}_{group} from {role}"
                ),
            )
            .await;
        if self.access == "Owner" {
            world
                .sql(
                    database,
                    &format!(
                        "drop extension citext; \
                         revoke connect on database {database} from {database}_reader; \
                         grant connect on database {database} to public; \
                         alter default privileges for role {database}_owner revoke select on tables from {database}_reader; \
                         alter role {role} reset role"
                    ),
                )
                .await;
        }
    }

    async fn check_ready(&self, world: &mut World, step: Step) {
        let context = format!("{} after {step:?}", self.name);
        assert_eq!(
            world.ready(NAME).0,
            "True",
            "{context}: {}",
            world.message(NAME)
        );
        let mut user = world
            .log_in(&secret())
            .await
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        let sql = if self.access == "Owner" {
            "create table if not exists kept (id int); insert into kept values (1)"
        } else {
            "select 1"
        };
        user.execute(sql)
            .await
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        drop(user);
        self.check_nothing_foreign(world, &context).await;
        self.check_rest(world, &context).await;
    }

    /// Only what the life needs is on the server and in the cluster.
    async fn check_nothing_foreign(&self, world: &World, context: &str) {
        let database = database(world);
        let mut roles: Vec<String> = ["owner", "reader", "writer"]
            .map(|group| format!("{database}_{group}"))
            .into();
        roles.push(world.secret(&secret())["username"].clone());
        let mut secrets = vec![world.secret_path("server"), world.secret_path(&secret())];
        if self.access != "Owner" {
            roles.push(world.secret("first-db")["username"].clone());
            secrets.push(world.secret_path("first-db"));
        }
        roles.sort();
        secrets.sort();
        assert_eq!(world.roles().await, roles, "{context}: roles");
        assert_eq!(world.databases().await, [database], "{context}: databases");
        assert_eq!(world.api.paths("secrets"), secrets, "{context}: Secrets");
    }

    /// At rest the operator writes nothing, neither there nor here.
    async fn check_rest(&self, world: &mut World, context: &str) {
        let before = (world.api.writes(), world.chaos.changes());
        world.settle(NAME).await;
        let after = (world.api.writes(), world.chaos.changes());
        assert_eq!(
            after,
            before,
            "{context}: writes at rest (API, SQL): {:#?}",
            world.chaos.calls()
        );
    }

    async fn check_gone(&self, world: &World) {
        let context = format!("{} after Delete", self.name);
        assert!(
            world.binding(NAME).is_none(),
            "{context}: {}",
            world.message(NAME)
        );
        let database = database(world);
        let groups: Vec<String> = ["owner", "reader", "writer"]
            .map(|group| format!("{database}_{group}"))
            .into();
        let mut secrets = vec![world.secret_path("server")];
        let (mut roles, mut databases) = (Vec::new(), Vec::new());
        if self.access != "Owner" {
            roles.clone_from(&groups);
            roles.push(world.secret("first-db")["username"].clone());
            databases.push(database.clone());
            secrets.insert(0, world.secret_path("first-db"));
        } else if self.policy == "Retain" {
            roles.clone_from(&groups);
            databases.push(database.clone());
            let rows = world
                .sql(&database, "select count(*)::text from public.kept")
                .await;
            assert_ne!(rows, ["0"], "{context}: the data");
        }
        roles.sort();
        assert_eq!(world.roles().await, roles, "{context}: roles");
        assert_eq!(world.databases().await, databases, "{context}: databases");
        assert_eq!(world.api.paths("secrets"), secrets, "{context}: Secrets");
    }
}

/// Name of the life's database.
pub fn database(world: &World) -> String {
    format!("{}_shop", world.namespace)
}

fn secret() -> String {
    format!("{NAME}-db")
}

/// The spec of an owner's binding with these extensions.
pub fn owner_of(database: &str, extensions: &[&str]) -> Value {
    json!({ "database": database, "extensions": extensions, "reclaimPolicy": "Delete" })
}
