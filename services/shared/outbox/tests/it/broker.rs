//! The brokers that the tests run on, and what can happen to them.

use bus::Bus;
use testkit::Nats;

use crate::log::{Disk, Log};

/// Runs tests, functions of a [`Broker`], once on NATS and once on a log with Kafka's semantics.
macro_rules! on_every_transport {
    ($($test:ident,)+) => {
        mod on_nats {
            $(#[tokio::test]
            async fn $test() {
                Box::pin(super::$test(crate::broker::Broker::nats().await)).await;
            })+
        }

        mod on_a_log {
            $(#[tokio::test]
            async fn $test() {
                Box::pin(super::$test(crate::broker::Broker::log())).await;
            })+
        }
    };
}

pub enum Broker {
    /// One server, or a cluster.
    Nats(Vec<Nats>),
    Log(Log),
}

pub enum Backup {
    Nats(tempfile::TempDir),
    Log(Disk),
}

impl Broker {
    pub async fn nats() -> Self {
        Self::Nats(vec![testkit::nats().await])
    }

    pub fn log() -> Self {
        Self::Log(Log::start_new())
    }

    /// A connection to whichever server answers.
    pub async fn connect(&self) -> Bus {
        match self {
            Self::Nats(servers) => {
                let urls: Vec<String> = servers.iter().map(Nats::url).collect();
                let connected = bus::nats::connect(
                    &urls.join(","),
                    bus::nats::Login::default(),
                    "test",
                    urls.len(),
                )
                .await;
                connected.unwrap()
            }
            Self::Log(log) => log.connect(),
        }
    }

    /// A server of NATS.
    pub fn server(&mut self, index: usize) -> &mut Nats {
        match self {
            Self::Nats(servers) => &mut servers[index],
            Self::Log(_) => panic!("a log has no servers"),
        }
    }

    pub fn kill(&mut self) {
        match self {
            Self::Nats(servers) => servers[0].kill(),
            Self::Log(log) => log.kill(),
        }
    }

    pub async fn start(&mut self) {
        match self {
            Self::Nats(servers) => servers[0].start().await,
            Self::Log(log) => log.start(),
        }
    }

    /// Kills it and deletes its data.
    pub fn wipe(&mut self) {
        match self {
            Self::Nats(servers) => servers[0].wipe(),
            Self::Log(log) => log.wipe(),
        }
    }

    /// Kills it and copies its data.
    pub fn backup(&mut self) -> Backup {
        match self {
            Self::Nats(servers) => Backup::Nats(servers[0].backup()),
            Self::Log(log) => Backup::Log(log.backup()),
        }
    }

    /// Kills it and puts back its data as they were.
    pub fn restore(&mut self, backup: &Backup) {
        match (self, backup) {
            (Self::Nats(servers), Backup::Nats(data)) => servers[0].restore(data),
            (Self::Log(log), Backup::Log(disk)) => log.restore(disk),
            _ => panic!("a backup of another broker"),
        }
    }
}
