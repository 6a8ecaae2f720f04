//! What has to be true after each step of a life.

use operator_plan::database_binding::Wanted;
use sqlx::Executor;

use super::life::{Life, NAME, Step, database};
use super::world::{World, log_in_with};

impl Life {
    /// After every step but the last one.
    pub(super) async fn check_ready(&self, world: &mut World, step: Step) {
        let context = format!("{} after {step:?}", self.name);
        assert_eq!(
            world.ready(NAME).0,
            "True",
            "{context}: {}",
            world.message(NAME)
        );
        let mut user = world
            .log_in(&world.secret_of(NAME))
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
        if matches!(step, Step::Rotate | Step::Expire) {
            check_rotation(world, step, &context).await;
        }
        self.check_nothing_foreign(world, &context).await;
        self.check_rest(world, &context).await;
    }

    /// Only what the life needs is on the server and in the cluster.
    async fn check_nothing_foreign(&self, world: &World, context: &str) {
        let database = database(world);
        let mut roles: Vec<String> = ["owner", "reader", "writer"]
            .map(|group| format!("{database}_{group}"))
            .into();
        let binding = world.binding(NAME).expect("the binding");
        let wanted = Wanted::of(&binding, false).expect("stored");
        // The other role of the pair is there once it was used.
        let used = if wanted.number == 0 { 1 } else { 2 };
        roles.extend(wanted.logins().map(str::to_owned).into_iter().take(used));
        let mut secrets = vec![
            world.secret_path("server"),
            world.secret_path(&world.secret_of(NAME)),
        ];
        let rotation = binding.status.and_then(|status| status.rotation);
        if let Some(old) = rotation.and_then(|rotation| rotation.outgoing) {
            let old = world.secret_path(&old.secret);
            // One that somebody deleted is not made again.
            secrets.extend(world.api.get(&old).map(|_| old));
        }
        if self.access != "Owner" {
            roles.push(world.keys_of("first")["username"].clone());
            secrets.push(world.secret_path(&world.secret_of("first")));
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

    /// After the last step.
    pub(super) async fn check_gone(&self, world: &World) {
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
            roles.push(world.keys_of("first")["username"].clone());
            databases.push(database.clone());
            secrets.insert(0, world.secret_path(&world.secret_of("first")));
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

/// The credentials in use are new ones, and the old ones are as good as the step says.
async fn check_rotation(world: &World, step: Step, context: &str) {
    let new = world.secret(&world.secret_of(NAME));
    assert_ne!(new["username"], world.old["username"], "{context}");
    assert_ne!(new["password"], world.old["password"], "{context}");
    let old = log_in_with(&world.old).await;
    assert_eq!(old.is_ok(), step == Step::Rotate, "{context}: the old ones");
}
