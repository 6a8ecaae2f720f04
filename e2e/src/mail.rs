//! What was mailed, from mailpit's REST API.

use std::net::SocketAddr;

use anyhow::Context as _;
use serde_json::Value;

use crate::Kubectl;

#[derive(Debug)]
pub struct Inbox {
    base: String,
    http: reqwest::blocking::Client,
}

impl Inbox {
    /// The mailpit of the embedded cluster (namespace `mail`).
    pub fn of(kubectl: &Kubectl) -> anyhow::Result<Self> {
        let service = kubectl.get("mail", "service/mailpit")?;
        let ip = service["spec"]["clusterIP"]
            .as_str()
            .context("mailpit has no address")?;
        let address: SocketAddr = format!("{ip}:8025").parse()?;
        let http = crate::shop::client(None)?;
        Ok(Self {
            base: format!("http://{address}"),
            http,
        })
    }

    /// Messages to an address, newest first.
    pub fn to(&self, address: &str) -> anyhow::Result<Vec<Value>> {
        let query = format!("to:{address}");
        let url = format!("{}/api/v1/search", self.base);
        let answer = self.http.get(url).header("accept", "application/json");
        let answer: Value = answer
            .query(&[("query", query.as_str()), ("limit", "500")])
            .send()?
            .error_for_status()?
            .json()?;
        Ok(answer["messages"].as_array().cloned().unwrap_or_default())
    }

    /// The text of one of these messages.
    pub fn text(&self, message: &Value) -> anyhow::Result<String> {
        let id = message["ID"].as_str().context("a message without an id")?;
        let url = format!("{}/api/v1/message/{id}", self.base);
        let answer = self.http.get(url).header("accept", "application/json");
        let answer: Value = answer.send()?.error_for_status()?.json()?;
        let text = answer["Text"].as_str().context("a message without text")?;
        Ok(text.to_owned())
    }
}
