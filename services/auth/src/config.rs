//! Configuration beyond that of every service.

/// The settings of `serve`. Bindings: database, bus, cache, signing-keys, admin, internal.
#[derive(clap::Args)]
pub struct Config {
    /// `iss` of the tokens.
    #[arg(long, env = "TOKEN_ISSUER")]
    pub token_issuer: String,
    /// `aud` of the tokens.
    #[arg(long, env = "TOKEN_AUDIENCE")]
    pub token_audience: String,
}
