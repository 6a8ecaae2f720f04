//! The operator's process: parse, connect, wait for the Lease, work, stop.

use clap::Parser;
use operator::config::{Cli, Command};
use operator::process;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Command::Run(config) = Cli::parse().command;
    process::run(config).await
}
