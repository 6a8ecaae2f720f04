//! The life of a binding, step by step. What has to be true after each is in [`super::checks`].

use serde_json::{Value, json};

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
    /// The user asks for other credentials.
    Rotate,
    /// The overlap after that is over.
    Expire,
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
/// The owner of a database that stays; it goes in the middle of its second rotation.
pub const ROTATOR: Life = Life {
    name: "rotator",
    access: "Owner",
    policy: "Retain",
    steps: &[
        Step::Create,
        Step::Rotate,
        Step::Expire,
        Step::Rotate,
        Step::Delete,
    ],
};
/// A reader of somebody's database whose credentials change.
pub const READER: Life = Life {
    name: "reader",
    access: "ReadOnly",
    policy: "Delete",
    steps: &[Step::Create, Step::Rotate, Step::Expire, Step::Delete],
};

impl Life {
    /// Makes the world that this life begins in. Nothing is done to calls yet.
    pub async fn prepare(&self, world: &mut World) {
        if self.access != "Owner" {
            world.create(
                "first",
                json!({
                    "database": database(world), "reclaimPolicy": "Delete",
                    "grants": [{ "binding": NAME, "access": "ReadWrite" }],
                }),
            );
            world.settle("first").await;
        }
    }

    /// Lives one step.
    pub async fn act(&self, world: &mut World, step: Step) {
        self.happen(world, step).await;
        world.settle(NAME).await;
    }

    /// Checks what has to be true after a step.
    pub async fn check(&self, world: &mut World, step: Step) {
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
        self.check(world, step).await;
    }

    async fn happen(&self, world: &mut World, step: Step) {
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
                let role = world.secret(&world.secret_of(NAME))["username"].clone();
                world
                    .sql(
                        &database,
                        &format!("drop owned by {role}; drop role {role}"),
                    )
                    .await;
            }
            Step::LoseSecret => world.api.delete(&world.secret_path(&world.secret_of(NAME))),
            Step::Move => {
                let moved = operator_plan::database_binding::Server {
                    host: "localhost".into(),
                    ..world.server.clone()
                };
                world.put_server(&moved);
            }
            Step::Rotate => world.ask_to_rotate(NAME),
            Step::Expire => world.expire(NAME),
            Step::Delete => world.api.delete(&world.binding_path(NAME)),
        }
    }

    async fn spoil(&self, world: &World, database: &str) {
        let role = world.secret(&world.secret_of(NAME))["username"].clone();
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
}

/// Name of the life's database.
pub fn database(world: &World) -> String {
    format!("{}_shop", world.namespace)
}

/// The spec of an owner's binding with these extensions.
pub fn owner_of(database: &str, extensions: &[&str]) -> Value {
    let grants = json!([{ "binding": "write", "access": "ReadWrite" }, { "binding": "read" }]);
    json!({
        "database": database, "extensions": extensions, "reclaimPolicy": "Delete", "grants": grants,
    })
}
