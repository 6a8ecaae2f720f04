//! The process `user serve | migrate | openapi`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::run(&user::SPEC, user::openapi, user::assemble).await
}
