//! Logs: JSON lines on stdout, one access line per request.

use tracing_subscriber::EnvFilter;

/// Starts logging. The second call in one process (tests) is a no-op.
pub fn init(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .try_init();
    if started.is_ok() {
        log_panics();
    }
    Ok(())
}

/// Logs a panic as one JSON line with its location, instead of text that log collectors cannot parse.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let what = panic.payload();
        let what = what
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| what.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        tracing::error!(place, panic = what, "a task panicked");
    }));
}
