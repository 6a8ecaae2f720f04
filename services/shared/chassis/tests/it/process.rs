//! A process and its admin socket; bindings.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use chassis::{Process, ProcessConfig, Tasks, binding, http_client};
use http::StatusCode;
use serde_json::Value;
use testkit::{eventually, free_port};
use tokio::sync::Notify;

fn here() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

#[tokio::test]
async fn a_process_reports_what_is_not_ready_and_exits_when_a_task_ends() {
    let config = ProcessConfig {
        listen: here(),
        admin_listen: here(),
        log: "off".into(),
        drain_secs: 4,
        tracing: Box::default(),
    };
    let (healthy, end) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let (seen, ended) = (Arc::clone(&healthy), Arc::clone(&end));
    let process = Process::new("test", &config)
        .unwrap()
        .route(Router::new().route("/hello", get(|| async { "hello" })))
        .readiness("database", move || {
            let healthy = seen.load(Ordering::SeqCst);
            std::future::ready(healthy.then_some(()).ok_or_else(|| "no answer".to_owned()))
        })
        .dependency("cache", || Err("no connection".to_owned()))
        .spawn("relay", |_| async move { ended.notified().await });
    let tasks = Tasks::new();
    let running = tasks.spawn("process", process.run());

    let client = http_client(Duration::from_secs(2)).unwrap();
    let admin = |path: &str| {
        client
            .get(format!("http://{}{path}", config.admin_listen))
            .send()
    };
    eventually("the process is alive", || async {
        admin("/healthz").await.ok()
    })
    .await;
    let answer = admin("/readyz").await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.json::<Value>().await.unwrap()["failing"]["database"],
        "no answer"
    );
    healthy.store(true, Ordering::SeqCst);
    let answer = admin("/readyz").await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    // What it does without is told, and costs no readiness.
    assert_eq!(
        answer.json::<Value>().await.unwrap()["degraded"]["cache"],
        "no connection"
    );

    let hello = || client.get(format!("http://{}/hello", config.listen)).send();
    assert_eq!(hello().await.unwrap().text().await.unwrap(), "hello");
    let metrics = admin("/metrics").await.unwrap().text().await.unwrap();
    for series in [
        "http_server_request_duration_seconds_bucket",
        "process_resident_memory_bytes",
    ] {
        assert!(metrics.contains(series), "{series} in {metrics}");
    }

    end.notify_one();
    eventually("the process is draining", || async {
        let answer = admin("/readyz").await.ok()?.json::<Value>().await.ok()?;
        answer["failing"]["draining"].is_string().then_some(())
    })
    .await;
    // Still serving, but not for long.
    assert_eq!(hello().await.unwrap().headers()["connection"], "close");
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "a task of test exited unexpectedly");
}

#[test]
fn a_binding_is_a_folder_of_files_whose_values_do_not_show() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("database");
    std::fs::create_dir_all(folder.join("..2026_01_31")).unwrap();
    std::fs::write(folder.join("uri"), "postgres://u:hunter2@h/d\n").unwrap();
    std::fs::write(folder.join("type"), "postgresql").unwrap();
    let database = binding(root.path(), "database").unwrap();
    assert_eq!(database.get("uri"), Some("postgres://u:hunter2@h/d"));
    assert_eq!(database.names().collect::<Vec<_>>(), ["type", "uri"]);
    assert_eq!(
        database.require("password").unwrap_err().to_string(),
        "binding database has no entry password"
    );
    assert!(!format!("{database:?}").contains("hunter2"));
    assert!(binding(root.path(), "cache").is_err());
}
