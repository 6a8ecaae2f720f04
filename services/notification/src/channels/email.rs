//! E-mail, through the shop's SMTP server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use chassis::Binding;
use lettre::address::Envelope;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::error::{DeliveryError, LookError, SmtpConfigError};
use super::health::SmtpHealth;
use crate::deliveries::store::Claimed;
use crate::shop::Shop;

/// Timeout of one answer of the mail server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Timeout of a whole delivery, and of a look: with the time to record it, shorter than a claim. Some servers greet late.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections kept to the mail server.
const CONNECTIONS: u32 = 4;

/// Encryption of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    /// None.
    Off,
    /// STARTTLS: a plain connection is upgraded.
    StartTls,
    /// From the first byte.
    Implicit,
}

impl Encryption {
    /// The mode of the binding, else that of the port.
    fn of(binding: &Binding, port: u16) -> Result<Self, SmtpConfigError> {
        let by_port = match port {
            465 => Self::Implicit,
            587 => Self::StartTls,
            _ => Self::Off,
        };
        match binding.get("tls") {
            None => Ok(by_port),
            Some("none") => Ok(Self::Off),
            Some("starttls") => Ok(Self::StartTls),
            Some("implicit") => Ok(Self::Implicit),
            Some(other) => Err(SmtpConfigError::Tls(other.to_owned())),
        }
    }
}

/// Sends through one SMTP server.
pub struct SmtpSender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    host: String,
    health: SmtpHealth,
}

impl SmtpSender {
    /// Reads the binding `smtp`: host, port, from, and optionally username, password and tls. Connects at
    /// the first look or delivery.
    pub fn new(binding: &Binding, shop: &Shop) -> Result<Self, SmtpConfigError> {
        let (host, port) = (binding.require("host")?, binding.require("port")?);
        let port: u16 = port
            .parse()
            .map_err(|_| SmtpConfigError::Port(port.to_owned()))?;
        let from = binding.require("from")?;
        let mut from: Mailbox = from
            .parse()
            .map_err(|_| SmtpConfigError::From(from.to_owned()))?;
        let name = from.name.take().unwrap_or_else(|| shop.name.clone());
        from.name = Some(one_line(&name));
        let builder = match Encryption::of(binding, port)? {
            Encryption::Off => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host),
            Encryption::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(host)?,
            Encryption::Implicit => AsyncSmtpTransport::<Tokio1Executor>::relay(host)?,
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
            .timeout(Some(ANSWER_TIMEOUT))
            .pool_config(pool)
            .build();
        Ok(Self {
            transport,
            from,
            host: host_of(&shop.url).to_owned(),
            health: SmtpHealth::default(),
        })
    }

    /// How deliveries go.
    pub fn health(&self) -> SmtpHealth {
        self.health.clone()
    }

    /// Looks at the mail server where that is due; returns when to come again.
    pub async fn look(&self) -> Duration {
        let Some(look) = self.health.due() else {
            return self.health.pause();
        };
        let found = self.connects().await;
        if let Err(error) = &found {
            let error: &dyn std::error::Error = error;
            tracing::warn!(error, "no mail can be sent");
        }
        self.health.looked(look, &found)
    }

    async fn connects(&self) -> Result<(), LookError> {
        let patience = self.health.patience();
        let connection = tokio::time::timeout(patience, self.transport.test_connection());
        if connection.await.map_err(|_| LookError::TimedOut)?? {
            Ok(())
        } else {
            Err(LookError::Closed)
        }
    }

    /// Delivers a message, and remembers how that went.
    pub async fn deliver(&self, claimed: &Claimed) -> Result<(), DeliveryError> {
        let delivered = self.attempt(claimed).await;
        self.health.delivered(&delivered);
        delivered
    }

    async fn attempt(&self, claimed: &Claimed) -> Result<(), DeliveryError> {
        let (envelope, message) = uninterrupted(|| self.compose(claimed))??;
        let delivery = self.transport.send_raw(&envelope, &message);
        let accepted = tokio::time::timeout(DELIVERY_TIMEOUT, delivery).await;
        accepted.map_err(|_| DeliveryError::TimedOut)??;
        Ok(())
    }

    /// The message as it is sent, with its sender and recipient. `Message-ID` and `Date` are the same at every
    /// attempt, so that mail systems that compare them drop a second copy.
    fn compose(&self, claimed: &Claimed) -> Result<(Envelope, Vec<u8>), DeliveryError> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, claimed.recipient.parse()?))
            .subject(one_line(&claimed.subject))
            .message_id(Some(format!("<{}@{}>", claimed.id.as_uuid(), self.host)))
            .date(SystemTime::from(claimed.created_at))
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(
                claimed.body_text.clone(),
                claimed.body_html.clone(),
            ))?;
        Ok((message.envelope().clone(), message.formatted()))
    }
}

/// Runs code of others on content of others: a panic there costs the message an attempt, and not the
/// process, which would start again with the same message.
fn uninterrupted<T>(work: impl FnOnce() -> T) -> Result<T, DeliveryError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| DeliveryError::Panicked)
}

/// A text for a header, in which a line break would begin another header.
fn one_line(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).collect()
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

/// Suppresses autoresponders (RFC 3834).
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
    use crate::deliveries::retry::Failure;

    #[test]
    fn the_host_is_the_url_without_scheme_port_and_path() {
        for (url, host) in [
            ("http://demo.localhost:8080/", "demo.localhost"),
            ("https://shop.example.com/path", "shop.example.com"),
            ("demo.localhost", "demo.localhost"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }

    #[tokio::test]
    async fn every_mode_of_encryption_is_supported() {
        let shop = Shop {
            name: "Demo".to_owned(),
            url: "http://demo.localhost".to_owned(),
            locale: crate::shop::Locale::En,
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
            let sender = SmtpSender::new(&Binding::from_entries("smtp", entries), &shop).unwrap();
            assert_eq!(sender.from.name.as_deref(), Some("Shop"), "{tls}");
        }
    }

    #[tokio::test]
    async fn a_line_break_in_a_name_or_a_subject_begins_no_header() {
        let shop = Shop {
            name: "Demo\r\nBcc: all@example.com".to_owned(),
            url: "http://demo.localhost".to_owned(),
            locale: crate::shop::Locale::En,
        };
        let entries = [("host", "h"), ("port", "25"), ("from", "shop@example.com")];
        let sender = SmtpSender::new(&Binding::from_entries("smtp", entries), &shop).unwrap();
        let message = Claimed {
            id: vocabulary::MessageId::from_uuid(uuid::Uuid::nil()),
            template: "order-placed".to_owned(),
            recipient: "ann@example.com".to_owned(),
            subject: "Your order\nBcc: all@example.com".to_owned(),
            body_text: "text".to_owned(),
            body_html: "<p>text</p>".to_owned(),
            attempts: 1,
            created_at: chrono::DateTime::UNIX_EPOCH,
        };
        let (envelope, text) = sender.compose(&message).unwrap();
        assert_eq!(envelope.to().len(), 1);
        let text = String::from_utf8(text).unwrap();
        let mut headers = text.split("\r\n\r\n").next().unwrap().lines();
        assert!(!headers.any(|line| line.starts_with("Bcc")), "{text}");
    }

    #[test]
    fn a_panic_while_a_message_is_composed_is_a_failed_attempt() {
        let panics = || -> Vec<u8> { panic!("a library met what it did not expect") };
        let failed = uninterrupted(panics).expect_err("it is caught");
        assert_eq!(failed.failure(), Failure::Server);
    }

    #[test]
    fn an_invalid_binding_is_refused_with_the_entry() {
        let shop = Shop {
            name: "Demo".to_owned(),
            url: "http://demo.localhost".to_owned(),
            locale: crate::shop::Locale::En,
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
            let Err(error) = SmtpSender::new(&Binding::from_entries("smtp", entries), &shop) else {
                panic!("the binding was accepted without {missing}");
            };
            assert!(error.to_string().contains(missing), "{error}");
        }
    }

    #[test]
    fn the_port_decides_on_encryption_unless_the_binding_does() {
        let plain = Binding::from_entries::<&str, &str>("smtp", []);
        let configured = Binding::from_entries("smtp", [("tls", "starttls")]);
        let of = |binding, port| Encryption::of(binding, port).unwrap();
        assert_eq!(of(&plain, 1025), Encryption::Off);
        assert_eq!(of(&plain, 465), Encryption::Implicit);
        assert_eq!(of(&plain, 587), Encryption::StartTls);
        assert_eq!(of(&configured, 1025), Encryption::StartTls);
        let wrong = Binding::from_entries("smtp", [("tls", "yes")]);
        assert!(Encryption::of(&wrong, 25).is_err());
    }
}
