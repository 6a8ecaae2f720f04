//! The process `auth serve | migrate | openapi`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::run(&auth::SPEC, auth::openapi, auth::assemble).await
}
