//! Hands messages to the shop's mail server.

use std::time::{Duration, SystemTime};

use chassis::{Binding, BindingError};
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::domain::delivery::Failure;
use crate::domain::letter::Shop;
use crate::store::messages::Claimed;

/// An answer of the mail server that takes longer has failed.
const ANSWER: Duration = Duration::from_secs(15);
/// So has a whole conversation: with time to note it, well within a claim.
const CONVERSATION: Duration = Duration::from_secs(30);
/// Connections kept to the mail server.
const CONNECTIONS: u32 = 4;

/// A binding that mail cannot be sent with.
#[derive(Debug, thiserror::Error)]
pub enum PostmanError {
    /// An entry is missing.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// `port` is no number.
    #[error("the binding smtp has a port that is none: {0}")]
    Port(String),
    /// `from` is no address.
    #[error("the binding smtp has a sender that is no address: {0}")]
    From(String),
    /// `tls` is a word that nobody knows.
    #[error("the binding smtp says tls {0}; known are none, starttls and implicit")]
    Tls(String),
    /// The transport could not be made.
    #[error("preparing SMTP")]
    Smtp(#[from] lettre::transport::smtp::Error),
}

/// Why a message was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The recipient is no address.
    #[error("the address is none")]
    Address(#[from] lettre::address::AddressError),
    /// The message could not be put together.
    #[error("the message could not be put together")]
    Message(#[from] lettre::error::Error),
    /// The mail server did not take it.
    #[error("the mail server did not take it")]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// The mail server talked for too long.
    #[error("the mail server took too long")]
    Slow,
}

impl DeliveryError {
    /// What that means for the message.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Address(_) | Self::Message(_) => Failure::Address,
            Self::Smtp(_) | Self::Slow => Failure::Server,
        }
    }
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    /// Not at all.
    Off,
    /// By an upgrade of a plain connection.
    Upgraded,
    /// From the first byte.
    Implicit,
}

impl Tls {
    /// What the binding says, else what the port means.
    fn of(binding: &Binding, port: u16) -> Result<Self, PostmanError> {
        let usual = match port {
            465 => Self::Implicit,
            587 => Self::Upgraded,
            _ => Self::Off,
        };
        match binding.get("tls") {
            None => Ok(usual),
            Some("none") => Ok(Self::Off),
            Some("starttls") => Ok(Self::Upgraded),
            Some("implicit") => Ok(Self::Implicit),
            Some(other) => Err(PostmanError::Tls(other.to_owned())),
        }
    }
}

/// The way to the mail server.
pub struct Postman {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    host: String,
}

impl Postman {
    /// Reads the binding `smtp`: host, port, from, and maybe username, password and tls. Connects
    /// when the first message goes out.
    pub fn new(binding: &Binding, shop: &Shop) -> Result<Self, PostmanError> {
        let (host, port) = (binding.require("host")?, binding.require("port")?);
        let port: u16 = port
            .parse()
            .map_err(|_| PostmanError::Port(port.to_owned()))?;
        let from = binding.require("from")?;
        let mut from: Mailbox = from
            .parse()
            .map_err(|_| PostmanError::From(from.to_owned()))?;
        from.name.get_or_insert_with(|| shop.name.clone());
        let builder = match Tls::of(binding, port)? {
            Tls::Off => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host),
            Tls::Upgraded => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(host)?,
            Tls::Implicit => AsyncSmtpTransport::<Tokio1Executor>::relay(host)?,
        };
        let builder = match binding.get("username").zip(binding.get("password")) {
            Some((user, password)) => {
                builder.credentials(Credentials::new(user.into(), password.into()))
            }
            None => builder,
        };
        let pool = PoolConfig::new()
            .max_size(CONNECTIONS)
            .idle_timeout(Duration::from_secs(30));
        let transport = builder
            .port(port)
            .timeout(Some(ANSWER))
            .pool_config(pool)
            .build();
        Ok(Self {
            transport,
            from,
            host: host_of(&shop.url).to_owned(),
        })
    }

    /// Hands a message over. `Message-ID` and `Date` are the same at every attempt, so that mail
    /// systems which compare them drop a second copy.
    pub async fn deliver(&self, claimed: &Claimed) -> Result<(), DeliveryError> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, claimed.recipient.parse()?))
            .subject(&claimed.subject)
            .message_id(Some(format!("<{}@{}>", claimed.id.as_uuid(), self.host)))
            .date(SystemTime::from(claimed.created_at))
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(
                claimed.body_text.clone(),
                claimed.body_html.clone(),
            ))?;
        let conversation = self.transport.send(message);
        let taken = tokio::time::timeout(CONVERSATION, conversation).await;
        taken.map_err(|_| DeliveryError::Slow)??;
        Ok(())
    }
}

/// The host of a URL, without scheme, port and path.
fn host_of(url: &str) -> &str {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or(host);
    match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    }
}

/// Tells autoresponders to keep still (RFC 3834).
#[derive(Debug, Clone, Copy)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_the_shop_is_found() {
        for (url, host) in [
            ("http://demo.localhost:8080/", "demo.localhost"),
            ("https://shop.example.com/path", "shop.example.com"),
            ("demo.localhost", "demo.localhost"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }

    #[tokio::test]
    async fn every_way_of_protecting_can_be_prepared() {
        let shop = Shop {
            name: "Demo".to_owned(),
            url: "http://demo.localhost".to_owned(),
            locale: crate::domain::phrases::Locale::En,
        };
        for tls in ["none", "starttls", "implicit"] {
            let entries = [
                ("host", "mail.example.com"),
                ("port", "2525"),
                ("from", "Shop <shop@example.com>"),
                ("username", "shop"),
                ("password", "secret"),
                ("tls", tls),
            ];
            let postman = Postman::new(&Binding::from_entries("smtp", entries), &shop).unwrap();
            assert_eq!(postman.from.name.as_deref(), Some("Shop"), "{tls}");
        }
    }

    #[test]
    fn a_binding_that_is_not_whole_says_what_is_missing() {
        let shop = Shop {
            name: "Demo".to_owned(),
            url: "http://demo.localhost".to_owned(),
            locale: crate::domain::phrases::Locale::En,
        };
        for (entries, missing) in [
            (vec![("host", "h")], "port"),
            (
                vec![("host", "h"), ("port", "x"), ("from", "a@b.example")],
                "port",
            ),
            (
                vec![("host", "h"), ("port", "25"), ("from", "nobody")],
                "sender",
            ),
        ] {
            let Err(error) = Postman::new(&Binding::from_entries("smtp", entries), &shop) else {
                panic!("{missing} was not missed");
            };
            assert!(error.to_string().contains(missing), "{error}");
        }
    }

    #[test]
    fn the_port_says_how_to_protect_unless_the_binding_does() {
        let plain = Binding::from_entries::<&str, &str>("smtp", []);
        let told = Binding::from_entries("smtp", [("tls", "starttls")]);
        let of = |binding, port| Tls::of(binding, port).unwrap();
        assert_eq!(of(&plain, 1025), Tls::Off);
        assert_eq!(of(&plain, 465), Tls::Implicit);
        assert_eq!(of(&plain, 587), Tls::Upgraded);
        assert_eq!(of(&told, 1025), Tls::Upgraded);
        let wrong = Binding::from_entries("smtp", [("tls", "yes")]);
        assert!(Tls::of(&wrong, 25).is_err());
    }
}
