//! The process `product serve | migrate | openapi`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::run(&product::SPEC, product::openapi, product::assemble).await
}
