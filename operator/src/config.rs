//! Flags, each also read from the environment.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};
use kube_cache::Scope;
use operator_plan::Platform;

/// Runs shops: turns Storefront objects into running online shops.
#[derive(Debug, Parser)]
#[command(name = "operator", about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watches and reconciles until SIGTERM.
    Run(Config),
}

/// Settings of `run`.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Registry and path of the platform's images.
    #[arg(long, env = "IMAGE_REGISTRY", default_value = "ghcr.io/storefront-dev")]
    pub image_registry: String,
    /// Tag of the platform's images.
    #[arg(long, env = "IMAGE_TAG", default_value = env!("CARGO_PKG_VERSION"))]
    pub image_tag: String,
    /// Digests of the platform's images that take the place of the tag, as `name=sha256:...`, separated by commas.
    #[arg(long, env = "IMAGE_DIGESTS", value_delimiter = ',', value_parser = digest)]
    pub image_digests: Vec<Option<(String, String)>>,
    /// When the platform's images are pulled.
    #[arg(long, env = "IMAGE_PULL_POLICY", default_value = "IfNotPresent",
          value_parser = ["Always", "IfNotPresent", "Never"])]
    pub image_pull_policy: String,
    /// Release that new shops run; default: the image tag.
    #[arg(long = "version", env = "PLATFORM_VERSION")]
    pub version: Option<String>,
    /// Templates have one change more, which only marks the pods of services: with another `--version`, one build is two
    /// releases, and how a shop gets from one to the other can be tried.
    #[arg(long, env = "REHEARSE_UPDATE", hide = true)]
    pub rehearse_update: bool,
    /// Namespace of the Lease; default: the operator's own.
    #[arg(long, env = "LEADER_ELECTION_NAMESPACE")]
    pub leader_election_namespace: Option<String>,
    /// Namespaces to watch, separated by commas; empty: all of them.
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// Socket of /healthz, /readyz and /metrics.
    #[arg(long, env = "ADMIN_LISTEN", default_value = "0.0.0.0:9090")]
    pub admin_listen: SocketAddr,
    /// Log filter, such as `info` or `info,operator=debug`.
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,
    /// Name of the pod, by the downward API.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// Namespace of the pod, by the downward API.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub pod_namespace: String,
    /// Reconciliations of one kind at the same time.
    #[arg(long, env = "WORKERS", default_value_t = 8,
          value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: u8,
}

impl Config {
    /// The platform, as plans need it.
    pub fn platform(&self) -> Platform {
        Platform {
            registry: self.image_registry.clone(),
            tag: self.image_tag.clone(),
            digests: self.image_digests.iter().flatten().cloned().collect(),
            version: self
                .version
                .clone()
                .unwrap_or_else(|| self.image_tag.clone()),
            pull_policy: self.image_pull_policy.clone(),
            operator_namespace: self.pod_namespace.clone(),
            rehearses: self.rehearse_update,
        }
    }

    /// What the watches cover: the given namespaces, or all of them.
    pub fn scopes(&self) -> Vec<Scope> {
        let given = self.watch_namespaces.iter().map(|name| name.trim());
        let scopes: BTreeSet<Scope> = given
            .filter(|name| !name.is_empty())
            .map(Scope::of_namespace)
            .collect();
        if scopes.is_empty() {
            vec![Scope::All]
        } else {
            scopes.into_iter().collect()
        }
    }

    /// Where the Lease is.
    pub fn lease_namespace(&self) -> &str {
        self.leader_election_namespace
            .as_deref()
            .unwrap_or(&self.pod_namespace)
    }
}

/// Reads one digest; an empty text is none, which is what an empty variable is read as.
fn digest(text: &str) -> Result<Option<(String, String)>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let pair = text.split_once('=');
    let is_digest = |value: &str| {
        let hex = value.strip_prefix("sha256:").unwrap_or_default();
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match pair {
        Some((name, value)) if !name.is_empty() && is_digest(value) => {
            Ok(Some((name.to_owned(), value.to_owned())))
        }
        _ => Err("give name=sha256: and 64 hexadecimal digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Config {
        let all = ["operator", "run"].iter().chain(arguments);
        let Command::Run(config) = Cli::try_parse_from(all).unwrap().command;
        config
    }

    #[test]
    fn no_namespaces_means_all_of_them() {
        assert_eq!(parse(&["--watch-namespaces="]).scopes(), [Scope::All]);
        assert_eq!(
            parse(&["--watch-namespaces=b,a,b"]).scopes(),
            ["a", "b"].map(Scope::of_namespace)
        );
    }

    #[test]
    fn an_image_with_a_digest_is_named_by_it_in_the_operators_own_release_only() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let config = parse(&[
            "--image-tag=1.0.0",
            &format!("--image-digests=web={digest}"),
        ]);
        let platform = config.platform();
        let registry = &platform.registry;
        assert_eq!(
            platform.image("web", "1.0.0"),
            format!("{registry}/web@{digest}")
        );
        assert_eq!(
            platform.image("web", "0.9.0"),
            format!("{registry}/web:0.9.0")
        );
        assert_eq!(
            platform.image("auth", "1.0.0"),
            format!("{registry}/auth:1.0.0")
        );
        assert!(parse(&["--image-digests="]).platform().digests.is_empty());
        assert!(Cli::try_parse_from(["operator", "run", "--image-digests=web=latest"]).is_err());
    }

    #[test]
    fn the_release_is_the_tag_unless_it_is_named() {
        assert_eq!(parse(&["--image-tag=abc"]).platform().version, "abc");
        assert_eq!(
            parse(&["--image-tag=abc", "--version=1.0.0"])
                .platform()
                .version,
            "1.0.0"
        );
    }
}
