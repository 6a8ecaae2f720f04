//! The process: `gateway serve`, the data plane of a shop's Gateway.

mod serve;

use clap::Parser;
use gateway::config::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Command::Serve(config) = Command::parse();
    serve::serve(config).await
}
