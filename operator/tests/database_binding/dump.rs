//! The script of the Job that takes a dump, run as the Job runs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sqlx::Executor;

use super::life::{database, owner_of};
use super::postgres::{binaries, is_root, temporary, user};
use super::scenarios::made;
use super::world::World;

/// The folders that the Job mounts, and its script with their names.
struct Job {
    folder: PathBuf,
    script: String,
    file: String,
}

impl Job {
    async fn of(world: &mut World) -> Self {
        let shop = database(world);
        let mut spec = owner_of(&shop, &[]);
        spec["reclaimPolicy"] = "BackupThenDelete".into();
        made(world, "own", spec).await;
        let mut owner = world
            .log_in(&world.secret_of("own"))
            .await
            .expect("the owner logs in");
        owner
            .execute("create table kept (id int); insert into kept values (1)")
            .await
            .expect("made");
        let keys = world.keys_of("own");
        world.api.delete(&world.binding_path("own"));
        drop(world.once("own").await);
        let path = world.api.paths("jobs").pop().expect("a Job");
        let job = world.api.get(&path).expect("a Job");
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let folder = temporary(&format!("dump-{}", world.namespace));
        for (name, value) in keys {
            write(&folder.join("bindings").join(name), &value);
        }
        write(&folder.join("backup/empty"), "");
        let here = |path: &str| folder.join(path).display().to_string();
        let script = container["command"][2].as_str().expect("a script");
        let script = script
            .replace(
                "/usr/lib/postgresql/15/bin",
                &binaries().display().to_string(),
            )
            .replace("/usr/lib/postgresql/18/bin", &here("newest"))
            .replace("/bindings/database", &here("bindings"))
            .replace("/backup/", &format!("{}/", here("backup")));
        let file = container["env"][0]["value"].as_str().expect("a file");
        let file = file.to_owned();
        Self {
            folder,
            script,
            file,
        }
    }

    fn run(&self) -> (bool, String) {
        self.run_script(&self.script)
    }

    fn run_script(&self, script: &str) -> (bool, String) {
        if is_root() {
            let chown = ["-R", "postgres", &self.folder.display().to_string()];
            Command::new("chown").args(chown).status().expect("chown");
        }
        let output = user(is_root(), Path::new("/usr/bin/env"))
            .arg(format!("BACKUP_FILE={}", self.file))
            .args(["sh", "-euc", script])
            .current_dir("/")
            .output()
            .expect("the script starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), text)
    }

    /// The script of the Job in the chart that restores a dump.
    fn restore_script(&self) -> String {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../charts/storefront/files/restore.yaml"
        );
        let text = std::fs::read_to_string(path).expect("the Job");
        let job: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let script = container["command"][2].as_str().expect("a script");
        let here = |path: &str| self.folder.join(path).display().to_string();
        let psql = binaries().join("psql").display().to_string();
        script
            .replace("/usr/lib/postgresql/15/bin/psql", "PSQL")
            .replace("/usr/lib/postgresql/15/bin", &here("older"))
            .replace("/usr/lib/postgresql/18/bin", &here("newest"))
            .replace("/bindings/database", &here("bindings"))
            .replace("/backup/", &format!("{}/", here("backup")))
            .replace("/work/", &format!("{}/", here("work")))
            .replace("PSQL", &psql)
    }

    fn dump(&self) -> PathBuf {
        self.folder.join("backup").join(&self.file)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("written");
}

fn program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    write(path, &format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a program");
}

#[tokio::test]
async fn a_dump_of_the_images_own_server_is_taken_by_its_own_programs() {
    let mut world = World::new();
    let job = Job::of(&mut world).await;
    program(&job.folder.join("newest/pg_dump"), "exit 1");
    let (is_done, text) = job.run();
    assert!(is_done, "{text}");
    let list = Command::new(binaries().join("pg_restore"))
        .arg("--list")
        .arg(job.dump())
        .output()
        .expect("pg_restore starts");
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("TABLE DATA public kept"), "{list}");
    drop(job);
    world.api.edit(&world.binding_path("own"), |binding| {
        binding["spec"]["reclaimPolicy"] = json!("Delete");
    });
    world.settle("own").await;
}

#[tokio::test]
async fn a_dump_of_a_newer_server_is_taken_by_the_newest_programs() {
    let mut world = World::new();
    let mut job = Job::of(&mut world).await;
    let newest = job.folder.join("newest");
    // A server that says that it is newer.
    let older = job.folder.join("older");
    program(&older.join("psql"), "echo 180001");
    program(
        &older.join("pg_dump"),
        "echo 'server version mismatch' >&2; exit 1",
    );
    program(&older.join("pg_restore"), "exit 1");
    let own = binaries().display().to_string();
    job.script = job.script.replace(&own, &older.display().to_string());
    program(
        &newest.join("pg_dump"),
        r#"for word in "$@"; do case $word in --file=*) echo newest > "${word#--file=}" ;; esac; done"#,
    );
    program(&newest.join("pg_restore"), "exit 0");
    let (is_done, text) = job.run();
    assert!(is_done, "{text}");
    let dump = std::fs::read_to_string(job.dump()).expect("a dump");
    assert_eq!(dump, "newest\n");
    drop(job);
    world.api.edit(&world.binding_path("own"), |binding| {
        binding["spec"]["reclaimPolicy"] = json!("Delete");
    });
    world.settle("own").await;
}

#[tokio::test]
async fn a_dump_of_the_newest_programs_is_restored_into_a_server_that_does_not_know_all_that_they_set()
 {
    let mut world = World::new();
    let job = Job::of(&mut world).await;
    let (is_done, text) = job.run();
    assert!(is_done, "{text}");
    let database = std::fs::read_to_string(job.folder.join("bindings/database")).expect("a name");
    let own = binaries().display().to_string();
    // The image's own program cannot read it; the newer one begins as that of version 18 does.
    program(&job.folder.join("older/pg_restore"), "exit 1");
    let newest = format!(
        r#"{own}/pg_restore "$@"
for word in "$@"; do case $word in
  --file=*) file=${{word#--file=}}
    {{ echo 'SET transaction_timeout = 0;'; cat "$file"; }} > "$file.new"; mv "$file.new" "$file";;
esac; done"#
    );
    program(&job.folder.join("newest/pg_restore"), &newest);
    write(&job.folder.join("work/empty"), "");
    world
        .sql(&database, "delete from kept returning id::text")
        .await;
    let (is_done, text) = job.run_script(&job.restore_script());
    assert!(is_done, "{text}");
    let kept = world
        .sql(&database, "select count(*)::text from kept")
        .await;
    assert_eq!(kept, ["1"]);

    // What cannot be restored whole changes nothing.
    program(
        &job.folder.join("newest/pg_restore"),
        &format!("{newest}\necho 'select 1/0;' >> \"$file\""),
    );
    world
        .sql(&database, "delete from kept returning id::text")
        .await;
    let (is_done, text) = job.run_script(&job.restore_script());
    assert!(!is_done && text.contains("division by zero"), "{text}");
    let kept = world
        .sql(&database, "select count(*)::text from kept")
        .await;
    assert_eq!(kept, ["0"]);
    drop(job);
    world.api.edit(&world.binding_path("own"), |binding| {
        binding["spec"]["reclaimPolicy"] = json!("Delete");
    });
    world.settle("own").await;
}
