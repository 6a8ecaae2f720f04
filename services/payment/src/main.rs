//! The process `payment serve | migrate | openapi`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::run(&payment::SPEC, payment::openapi, payment::assemble).await
}
