use super::*;

fn queue() -> Queue {
    Queue::new("test", Metrics::new().unwrap())
}

fn key(name: &str) -> Key {
    Key::new("shops", name)
}

async fn next(queue: &Queue) -> Key {
    tokio::time::timeout(Duration::from_secs(3600), queue.next())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_asked_for_twice_is_handed_out_once() {
    let queue = queue();
    queue.add(key("a"), Priority::High);
    queue.add(key("a"), Priority::High);
    assert_eq!(next(&queue).await, key("a"));
    queue.done(&key("a"));
    assert!(queue.is_idle());
}

#[tokio::test(start_paused = true)]
async fn no_two_workers_get_one_object_and_what_came_meanwhile_is_not_lost() {
    let queue = queue();
    queue.add(key("a"), Priority::High);
    next(&queue).await;
    queue.add(key("a"), Priority::High);
    assert!(
        tokio::time::timeout(Duration::from_secs(60), queue.next())
            .await
            .is_err()
    );
    queue.done(&key("a"));
    assert_eq!(next(&queue).await, key("a"));
}

#[tokio::test(start_paused = true)]
async fn user_edits_go_before_routine_looks_but_do_not_starve_them() {
    let queue = queue();
    queue.add(key("routine"), Priority::Low);
    for edit in 0..20 {
        queue.add(key(&format!("edit{edit}")), Priority::High);
    }
    let mut order = Vec::new();
    for _ in 0..21 {
        let got = next(&queue).await;
        queue.done(&got);
        order.push(got.name);
    }
    assert_eq!(order[0], "edit0");
    let routine = order.iter().position(|name| name == "routine").unwrap();
    assert!((1..20).contains(&routine), "{routine}");
}

#[tokio::test(start_paused = true)]
async fn an_edit_moves_a_later_appointment_forward_and_not_back() {
    let queue = queue();
    let start = Instant::now();
    queue.add_after(key("a"), Duration::from_secs(600), Priority::Low);
    queue.add_after(key("a"), Duration::from_secs(1), Priority::High);
    queue.add_after(key("a"), Duration::from_secs(100), Priority::High);
    next(&queue).await;
    assert_eq!(start.elapsed().as_secs(), 1);
    queue.done(&key("a"));
    assert!(queue.is_idle());
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_does_not_come_back() {
    let queue = queue();
    queue.add_after(key("a"), Duration::from_secs(5), Priority::Low);
    queue.forget(&key("a"));
    assert!(
        tokio::time::timeout(Duration::from_secs(60), queue.next())
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn closing_lets_every_worker_go() {
    let queue = queue();
    let (one, two) = tokio::join!(queue.next(), async {
        queue.close();
        queue.next().await
    });
    assert!(one.is_none() && two.is_none());
}
