//! The process of a service: `NAME serve | migrate | openapi`.

use chassis::{BindingConfig, Process, ProcessConfig, binding};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::builder::Builder;
use crate::spec::Spec;

#[derive(Parser)]
struct Cli<C: Args> {
    #[command(subcommand)]
    command: Command<C>,
}

#[derive(Subcommand)]
enum Command<C: Args> {
    /// Serve the API, publish and consume events, run periodic tasks.
    Serve(Box<ServeConfig<C>>),
    /// Migrate the schema to the version of this build, then exit.
    Migrate(BindingConfig),
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Args)]
struct ServeConfig<C: Args> {
    #[command(flatten)]
    process: ProcessConfig,
    #[command(flatten)]
    bindings: BindingConfig,
    #[command(flatten)]
    own: C,
}

/// Runs the process: parses the command line and does what it asks for.
///
/// `openapi` builds the OpenAPI document. `assemble` gets the service's own configuration and a [`Builder`] with database and bus; it hands
/// the builder back with routes, consumers and tasks. It is not async, so that it cannot wait for a backing
/// server: a process starts, and reports that it is not ready, while its servers are away.
pub async fn run<C: Args>(
    spec: &Spec,
    openapi: fn() -> String,
    assemble: impl FnOnce(C, Builder) -> anyhow::Result<Builder>,
) -> anyhow::Result<()> {
    let matches = command::<C>(spec).get_matches();
    match Cli::<C>::from_arg_matches(&matches)?.command {
        Command::Serve(config) => {
            let ServeConfig {
                process,
                bindings,
                own,
            } = *config;
            let process = Process::new(spec.name(), &process)?;
            let builder = Builder::new(*spec, process, bindings.binding_root).await?;
            assemble(own, builder)?.run().await
        }
        Command::Migrate(config) => {
            let database = binding(&config.binding_root, "database")?;
            outbox::migrate::run(spec.migrator, database.require("uri")?, spec.schema()).await?;
            Ok(())
        }
        Command::Openapi => {
            print!("{}", openapi());
            Ok(())
        }
    }
}

fn command<C: Args>(spec: &Spec) -> clap::Command {
    Cli::<C>::command()
        .name(spec.name())
        .bin_name(spec.name())
        .about(spec.service.purpose())
        .version(env!("CARGO_PKG_VERSION"))
}
