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
        if is_root() {
            let chown = ["-R", "postgres", &self.folder.display().to_string()];
            Command::new("chown").args(chown).status().expect("chown");
        }
        let output = user(is_root(), Path::new("/usr/bin/env"))
            .arg(format!("BACKUP_FILE={}", self.file))
            .args(["sh", "-c", &self.script])
            .current_dir("/")
            .output()
            .expect("the script starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), text)
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
