//! The `web` process.

use clap::Parser as _;
use web::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Config::Serve { process, page } = Config::parse();
    chassis::Process::new("web", &process)?
        .route(web::router(page))
        .run()
        .await
}
