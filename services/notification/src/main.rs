//! The process `notification serve | migrate | openapi`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::run(
        &notification::SPEC,
        notification::openapi,
        notification::assemble,
    )
    .await
}
