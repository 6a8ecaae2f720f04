//! With nothing changing, the operator makes no write but the renewal of its Lease.

use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::{audit, eventually};

use crate::support::ShopFixture;

/// How long nothing may be written in this story; `make bench` watches for ten minutes.
const QUIET: Duration = Duration::from_secs(45);

#[test]
fn an_idle_operator_writes_nothing_but_its_lease() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("quiet")?;
    // The last status of the shop is written by now; what is still under way ends by itself.
    let writes = |mark| -> anyhow::Result<Vec<String>> {
        let counts = audit::writes_since(&fixture.kubectl, mark, audit::OPERATOR)?;
        let lease = |key: &String| key.ends_with(" leases");
        Ok(counts.into_keys().filter(|key| !lease(key)).collect())
    };
    let mut mark = audit::mark(&fixture.kubectl)?;
    let mut since = Instant::now();
    eventually("a quiet stretch", Duration::from_secs(240), || {
        let written = writes(mark)?;
        if !written.is_empty() {
            mark = audit::mark(&fixture.kubectl)?;
            since = Instant::now();
        }
        ensure!(written.is_empty(), "the operator wrote {written:?}");
        ensure!(
            since.elapsed() >= QUIET,
            "quiet for {} s only",
            since.elapsed().as_secs()
        );
        Ok(())
    })?;
    // A test that could not fail would be worth nothing: the operator is seen writing its Lease.
    let start = audit::writes_since(&fixture.kubectl, mark, audit::OPERATOR)?;
    ensure!(
        start.keys().any(|key| key.ends_with(" leases")),
        "no Lease renewal in {start:?}"
    );
    fixture.give_back()
}
