use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use notification::shop::Locale;
use notification::{BacklogCount, MessageSweep};
use serde_json::Value;
use service::PeriodicTask;
use testkit::free_port;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::{self, euros, paid, placed, registered};
use crate::mailpit;

#[tokio::test]
async fn a_confirmation_arrives_with_both_parts() {
    let (app, mail) = (app::start().await, mailpit::start().await);
    app.consume(&placed(42, euros(1_200))).await;
    assert_eq!(app.sender(mail.smtp).send_due().await.unwrap(), 1);

    let row = app.row().await;
    assert_eq!((row.status.as_str(), row.attempts), ("sent", 1));
    let message = &mail.messages().await[0];
    assert_eq!(message["MessageID"], format!("{}@demo.localhost", row.id));
    assert_eq!(message["Subject"], "Your order 2026-000042 at Demo & Söhne");
    assert_eq!(message["From"]["Address"], "shop@demo.localhost");
    assert_eq!(message["From"]["Name"], "Demo & Söhne");
    assert_eq!(message["To"][0]["Address"], "ann@example.com");
    let (text, html) = (
        message["Text"].as_str().unwrap(),
        message["HTML"].as_str().unwrap(),
    );
    for part in [
        "2026-000042",
        "2 × Blue <mug> (MUG): EUR 24.00",
        "Total: EUR 24.00",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        html.contains("Blue &#60;mug&#62;") && html.contains("Demo &#38; Söhne"),
        "{html}"
    );
    let headers = mail.headers(message).await;
    assert_eq!(headers["Auto-Submitted"][0], "auto-generated");
    assert_eq!(headers["Date"][0], "Sat, 31 Jan 2026 12:00:00 +0000");
}

#[tokio::test]
async fn a_german_shop_sends_german_mail() {
    let (app, mail) = (app::in_language(Locale::De).await, mailpit::start().await);
    app.consume(&paid(42)).await;
    app.sender(mail.smtp).send_due().await.unwrap();
    let message = &mail.messages().await[0];
    assert_eq!(
        message["Subject"],
        "Zahlung für Bestellung 2026-000042 eingegangen"
    );
    let text = message["Text"].as_str().unwrap();
    assert!(
        text.contains("24,00 EUR") && text.contains("Grüße"),
        "{text}"
    );
}

#[tokio::test]
async fn many_senders_send_each_message_once() {
    let (app, mail) = (app::start().await, mailpit::start().await);
    for n in 1..=40 {
        app.consume(&placed(n, euros(1_200))).await;
    }
    let stop = CancellationToken::new();
    let mut senders = JoinSet::new();
    for _ in 0..3 {
        senders.spawn(app.sender(mail.smtp).run(stop.clone()));
    }
    testkit::eventually("all are sent", || async {
        let unsent = "select count(*) from notification.messages where status <> 'sent'";
        (app.count(unsent).await == 0).then_some(())
    })
    .await;
    stop.cancel();
    senders.join_all().await;
    let messages = mail.messages().await;
    let ids: BTreeSet<_> = messages
        .iter()
        .map(|m| m["MessageID"].to_string())
        .collect();
    assert_eq!((messages.len(), ids.len()), (40, 40));
    let sent = app
        .state
        .metrics
        .sent
        .with_label_values(&["order_placed"])
        .get();
    assert_eq!(sent, 40);
}

#[tokio::test]
async fn messages_of_a_killed_sender_are_sent_after_their_claims_expired() {
    let (app, mail) = (app::start().await, mailpit::start().await);
    app.consume(&paid(1)).await;
    // What a process leaves that is killed while it talks to the mail server.
    sqlx::query(
        "update notification.messages set status = 'sending', attempts = 1,
             due_at = due_at + interval '90 seconds'",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    let sender = app.sender(mail.smtp);
    app.clock.advance(TimeDelta::seconds(89));
    assert_eq!(sender.send_due().await.unwrap(), 0, "its claim is valid");
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(sender.send_due().await.unwrap(), 1);
    assert_eq!(sender.send_due().await.unwrap(), 0);
    let row = app.row().await;
    assert_eq!((row.status.as_str(), row.attempts), ("sent", 2));
    assert_eq!(mail.messages().await.len(), 1);
}

#[tokio::test]
async fn without_a_mail_server_messages_wait_longer_after_each_attempt() {
    let app = app::start().await;
    let smtp = free_port();
    let sender = app.sender(smtp);
    app.consume(&registered(1, "ann@example.com")).await;
    for (attempt, least, most) in [(1, 12, 18), (2, 24, 36), (3, 48, 72)] {
        let now = app.row().await.due_at;
        sender.send_due().await.unwrap();
        let row = app.row().await;
        let pause = (row.due_at - now).num_seconds();
        assert_eq!((row.status.as_str(), row.attempts), ("queued", attempt));
        assert!(
            (least..=most).contains(&pause),
            "attempt {attempt}: {pause}"
        );
        assert!(row.last_error.unwrap().contains("mail server"));
        let told = sender.health().check().unwrap_err();
        assert!(told.contains("mail server"), "{told}");
        assert_eq!(sender.send_due().await.unwrap(), 0, "not before it is due");
        app.clock.set(row.due_at);
    }
    let mail = mailpit::on_port(smtp).await;
    sender.send_due().await.unwrap();
    assert_eq!(app.row().await.status, "sent");
    assert_eq!(sender.health().check(), Ok(()));
    assert_eq!(mail.messages().await.len(), 1);
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_told_before_any_mail_is_sent_and_so_is_its_return() {
    let app = app::start().await;
    let smtp = free_port();
    let sender = app.sender(smtp);
    let (health, stop) = (sender.health(), CancellationToken::new());
    let mut running = JoinSet::new();
    running.spawn(sender.run(stop.clone()));
    let told = testkit::eventually("it is told", || async { refusal(health.check()) }).await;
    assert!(told.contains("the mail server cannot be used"), "{told}");
    let mail = mailpit::on_port(smtp).await;
    testkit::eventually("it is back", || async { health.check().ok() }).await;
    assert_eq!(mail.messages().await, Vec::<Value>::new());
    stop.cancel();
    running.join_all().await;
}

#[tokio::test]
async fn a_mail_server_that_refuses_the_login_is_told_before_any_mail_is_sent() {
    let app = app::start().await;
    let mut servers = JoinSet::new();
    let refusing = stranger(&mut servers, |command| match command {
        "EHLO" => "250-mail.example\r\n250 AUTH PLAIN",
        "AUTH" => "535 5.7.8 these credentials are not valid",
        _ => "250 ok",
    });
    let sender = app.sender_as(refusing.await, &[("username", "shop"), ("password", "old")]);
    let (health, stop) = (sender.health(), CancellationToken::new());
    let mut running = JoinSet::new();
    running.spawn(sender.run(stop.clone()));
    let told = testkit::eventually("it is told", || async { refusal(health.check()) }).await;
    assert!(told.contains("these credentials are not valid"), "{told}");
    assert!(!told.contains("old"), "{told}");
    stop.cancel();
    running.join_all().await;
}

#[tokio::test]
async fn what_a_server_has_against_a_mail_is_not_forgotten_for_its_next_greeting() {
    let app = app::start().await;
    let mut servers = JoinSet::new();
    let refusing = stranger(&mut servers, |command| match command {
        "MAIL" => "550 5.7.1 this sender is not allowed",
        _ => "250 ok",
    });
    let sender = app.sender(refusing.await);
    app.consume(&registered(1, "ann@example.com")).await;
    sender.send_due().await.unwrap();
    sender.look().await;
    let told = sender.health().check().unwrap_err();
    assert!(told.contains("this sender is not allowed"), "{told}");
}

/// What a look has found.
fn refusal(known: Result<(), String>) -> Option<String> {
    known.err().filter(|told| told != chassis::NO_ANSWER_YET)
}

/// A mail server that answers each command as it is told; its port.
async fn stranger(servers: &mut JoinSet<()>, answer: fn(&str) -> &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    servers.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            let mut next = Some("220 mail.example");
            while let Some(said) = next {
                let said = format!("{said}\r\n");
                if write.write_all(said.as_bytes()).await.is_err() {
                    break;
                }
                let line = lines.next_line().await.ok().flatten();
                next = line.map(|line| answer(line.split(' ').next().unwrap_or_default()));
            }
        }
    });
    port
}

#[tokio::test]
async fn the_tenth_failure_is_the_last() {
    let app = app::start().await;
    let sender = app.sender(free_port());
    app.consume(&registered(1, "ann@example.com")).await;
    for _ in 0..10 {
        assert_eq!(sender.send_due().await.unwrap(), 1);
        app.clock.set(app.row().await.due_at);
    }
    let row = app.row().await;
    assert_eq!((row.status.as_str(), row.attempts), ("dead", 10));
    app.clock.advance(TimeDelta::days(1));
    assert_eq!(sender.send_due().await.unwrap(), 0);
    let died = app.state.metrics.died.with_label_values(&["welcome"]).get();
    assert_eq!(
        (
            died,
            app.state
                .metrics
                .failed
                .with_label_values(&["welcome"])
                .get()
        ),
        (1, 10)
    );
}

#[tokio::test]
async fn invalid_addresses_are_never_sent_to_the_mail_server() {
    let (app, mail) = (app::start().await, mailpit::start().await);
    let sender = app.sender(mail.smtp);
    let invalid = [
        "nobody",
        "ann@example.com\r\nBcc: all@example.com",
        "a b@example.com",
    ];
    for (n, address) in (1..).zip(invalid) {
        app.consume(&registered(n, address)).await;
    }
    sender.send_due().await.unwrap();
    let dead = "select count(*) from notification.messages where status = 'dead'";
    assert_eq!(app.count(dead).await, 3);
    assert_eq!(mail.messages().await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_backlog_is_counted_and_abandoned_messages_are_given_up() {
    let app = app::start().await;
    app.consume(&registered(1, "ann@example.com")).await;
    app.consume(&paid(2)).await;
    sqlx::query(
        "update notification.messages set status = 'sending', attempts = 10
         where template = 'order_paid'",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    app.clock.advance(TimeDelta::seconds(30));
    BacklogCount::new(&app.state).run().await.unwrap();
    let metrics = &app.state.metrics;
    let counted = (
        metrics.waiting.get(),
        metrics.dead.get(),
        metrics.oldest_age.get(),
    );
    assert_eq!(counted, (1, 1, 30));
    assert_eq!(metrics.died.with_label_values(&["abandoned"]).get(), 1);
}

#[tokio::test]
async fn messages_are_removed_ninety_days_after_they_were_sent() {
    let (app, mail) = (app::start().await, mailpit::start().await);
    app.consume(&paid(1)).await;
    app.sender(mail.smtp).send_due().await.unwrap();
    app.consume(&paid(2)).await;
    let messages = "select count(*) from notification.messages";
    let sweep = MessageSweep::new(&app.state);
    app.clock.advance(TimeDelta::days(90));
    sweep.run().await.unwrap();
    assert_eq!(app.count(messages).await, 2, "not before");
    app.clock.advance(TimeDelta::seconds(1));
    sweep.run().await.unwrap();
    assert_eq!(app.count(messages).await, 1, "a message that waits is kept");
}

#[tokio::test]
async fn a_queued_message_wakes_a_sender_that_waits() {
    let (app, mail) = (app::start().await, mailpit::start().await);
    let stop = CancellationToken::new();
    let mut senders = JoinSet::new();
    senders.spawn(app.sender(mail.smtp).run(stop.clone()));
    testkit::eventually("the sender listens", || async {
        let listening = "select count(*) from pg_stat_activity
             where datname = current_database() and query ilike 'listen %notification_queued%'";
        (app.count(listening).await == 1).then_some(())
    })
    .await;
    let sent = "select count(*) from notification.messages where status = 'sent'";
    // Polling alone would take up to five seconds for each.
    for n in 1..=4 {
        app.consume(&paid(n)).await;
        testkit::eventually_within(Duration::from_secs(3), "it is sent", || async {
            (app.count(sent).await == i64::try_from(n).unwrap()).then_some(())
        })
        .await;
    }
    stop.cancel();
    senders.join_all().await;
}

#[tokio::test]
async fn accepted_messages_are_recorded_although_connections_are_cut_meanwhile() {
    let (app, mail) = (app::start().await, mailpit::start().await);
    for n in 1..=8 {
        app.consume(&paid(n)).await;
    }
    let sender = app.sender(mail.smtp);
    let cut = async {
        testkit::eventually("messages arrive", || async {
            (!mail.messages().await.is_empty()).then_some(())
        })
        .await;
        app.cut_connections().await;
    };
    let (sent, ()) = tokio::join!(sender.send_due(), cut);
    assert_eq!(sent.unwrap(), 8);
    let sent = "select count(*) from notification.messages where status = 'sent'";
    testkit::eventually("the database is connected again", || async {
        let count: Result<i64, _> = sqlx::query_scalar(sent).fetch_one(&app.pool).await;
        count.ok().filter(|count| *count == 8)
    })
    .await;
    assert_eq!(mail.messages().await.len(), 8);
}
