//! The process: `payment serve | migrate | openapi`.

mod serve;

use clap::Parser;
use payment::config::{Cli, Command};
use payment::{MIGRATOR, SCHEMA};

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
        Command::Openapi => print!("{}", payment::openapi()),
    }
    Ok(())
}
