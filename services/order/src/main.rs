//! The process: `order serve | migrate | openapi`.

mod serve;

use clap::Parser;
use order::config::{Cli, Command};
use order::{MIGRATOR, SCHEMA};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Serve(config) => serve::serve(*config).await?,
        Command::Migrate(config) => {
            let database = chassis::binding(&config.binding_root, "database")?;
            outbox::migrate::run(&MIGRATOR, database.require("uri")?, SCHEMA).await?;
        }
        Command::Openapi => print!("{}", order::openapi()),
    }
    Ok(())
}
