//! The process `order serve | migrate | openapi`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::run(&order::SPEC, order::openapi, order::assemble).await
}
