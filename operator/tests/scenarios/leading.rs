//! Only one operator acts. These run on the real clock, for the Lease is kept by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::client::ClientBuilder;
use operator::leader::{Candidate, LEASE, Lost, Timing};
use operator::metrics::Metrics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fake::{Fake, Fault, Id};

const TIMING: Timing = Timing {
    duration_secs: 4,
    grace_secs: 2,
    fence: Duration::from_millis(3300),
};

struct Running {
    at_work: Arc<AtomicU32>,
    stop: CancellationToken,
    ended: JoinHandle<(Result<(), Lost>, Timestamp)>,
}

fn start(fake: &Fake, name: &str) -> Running {
    let metrics = Metrics::new().expect("metrics");
    let candidate = Candidate {
        client: ClientBuilder::new(fake.clone(), "default").build(),
        namespace: "storefront-system".into(),
        identity: name.into(),
        gauge: metrics.leader.with_label_values(&[LEASE]),
        timing: TIMING,
    };
    let (at_work, stop) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
    let (counter, token) = (Arc::clone(&at_work), stop.clone());
    let ended = tokio::task::spawn(async move {
        let work = async |working: CancellationToken| {
            counter.store(1, Ordering::Release);
            working.cancelled().await;
            counter.store(2, Ordering::Release);
        };
        let end = candidate.lead(token, work).await;
        (end, Timestamp::now())
    });
    Running {
        at_work,
        stop,
        ended,
    }
}

impl Running {
    fn is_at_work(&self) -> bool {
        self.at_work.load(Ordering::Acquire) == 1
    }

    async fn works_within(&self, bound: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < bound {
            if self.is_at_work() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

/// When the Lease, as it is now, runs out.
fn end_of_lease(fake: &Fake) -> Timestamp {
    let id = Id::new("coordination.k8s.io", "leases", "storefront-system", LEASE);
    let lease = fake.with(|store| store.get(&id).cloned()).expect("a Lease");
    let renewed = lease["spec"]["renewTime"]
        .as_str()
        .expect("a time")
        .parse::<Timestamp>();
    let duration = TIMING.duration_secs.cast_signed();
    renewed.expect("a time") + jiff::SignedDuration::from_secs(duration)
}

#[tokio::test]
async fn a_second_operator_waits_and_takes_over_when_the_first_one_stops() {
    let fake = Fake::new();
    let first = start(&fake, "first");
    assert!(first.works_within(Duration::from_secs(10)).await);
    let second = start(&fake, "second");
    // Longer than the Lease is good for: the first one renews it.
    assert!(!second.works_within(Duration::from_secs(6)).await);
    assert!(first.is_at_work());
    first.stop.cancel();
    let (end, _) = first.ended.await.expect("an end");
    assert!(end.is_ok());
    assert!(second.works_within(Duration::from_secs(10)).await);
    second.stop.cancel();
}

#[tokio::test]
async fn who_cannot_renew_stops_before_another_could_begin() {
    let fake = Fake::new();
    let first = start(&fake, "first");
    assert!(first.works_within(Duration::from_secs(10)).await);
    fake.break_by(|_| Some(Fault::Broken));
    let (end, at) = first.ended.await.expect("an end");
    assert!(end.is_err(), "it must say that the Lease is lost");
    assert!(
        at < end_of_lease(&fake),
        "{at} is after {}",
        end_of_lease(&fake)
    );
}

#[tokio::test]
async fn a_restarted_operator_does_not_wait_for_its_own_lease() {
    let fake = Fake::new();
    let first = start(&fake, "pod");
    assert!(first.works_within(Duration::from_secs(10)).await);
    first.ended.abort();
    let again = start(&fake, "pod");
    assert!(again.works_within(Duration::from_secs(2)).await);
    again.stop.cancel();
}
