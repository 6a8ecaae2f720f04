//! A client of the shop, over HTTP through the gateway.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::Kubectl;

/// The password of every shopper of a story.
pub const PASSWORD: &str = "correct horse battery staple";

/// One shop as its clients see it.
#[derive(Clone, Debug)]
pub struct Shop {
    base: String,
    /// The domain of its shoppers' addresses; no two shops of a run share it.
    domain: String,
    /// The end of its shoppers' names.
    family: String,
    http: Client,
}

/// A registered account with its access token.
#[derive(Clone, Debug)]
pub struct Shopper {
    pub id: String,
    pub email: String,
    pub token: String,
}

/// An answer: the status and the body, JSON or null.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// `null` when the body is not JSON.
    pub body: Value,
}

impl Answer {
    /// The body, when the status is the expected one.
    pub fn expect(self, status: u16) -> anyhow::Result<Value> {
        ensure!(
            self.status == status,
            "expected {status}, got {}: {}",
            self.status,
            self.body
        );
        Ok(self.body)
    }
}

impl Shop {
    /// The shop behind the Gateway of a Storefront.
    pub fn of(kubectl: &Kubectl, namespace: &str, storefront: &str) -> anyhow::Result<Self> {
        let gateway = kubectl.get(namespace, &format!("gateway/{storefront}"))?;
        let address = gateway["status"]["addresses"][0]["value"].as_str();
        let address = address.context("the Gateway has no address")?;
        let shop = kubectl.get(namespace, &format!("storefront/{storefront}"))?;
        let host = shop["spec"]["hostnames"][0]
            .as_str()
            .context("the shop has no hostname")?;
        let http = client(Some((host, format!("{address}:80").parse()?)))?;
        Ok(Self {
            base: format!("http://{host}"),
            domain: format!("{namespace}.test"),
            family: String::new(),
            http,
        })
    }

    /// The same shop, whose new shoppers are no namesakes of those of another visitor.
    #[must_use]
    pub fn visited_by(self, visitor: &str) -> Self {
        let family = format!("-{visitor}");
        Self { family, ..self }
    }

    /// One request, with a bearer token where one is given.
    pub fn request(&self, method: Method, path: &str, token: Option<&str>) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// GET, read whole.
    pub fn get(&self, path: &str, token: Option<&str>) -> anyhow::Result<Answer> {
        answer(self.request(Method::GET, path, token))
    }

    /// POST of a JSON body, read whole.
    pub fn post(&self, path: &str, token: Option<&str>, body: &Value) -> anyhow::Result<Answer> {
        answer(self.request(Method::POST, path, token).json(body))
    }

    /// Registers a new shopper and logs in.
    pub fn register(&self, name: &str) -> anyhow::Result<Shopper> {
        let name = format!("{name}{}", self.family);
        let email = format!("{name}@{}", self.domain);
        let account = json!({ "username": name, "email": email, "password": PASSWORD });
        let account = self
            .post("/v1/users/register", None, &account)?
            .expect(201)?;
        let id = account["id"]
            .as_str()
            .context("an account without id")?
            .to_owned();
        let token = self.login(&email, PASSWORD)?;
        Ok(Shopper { id, email, token })
    }

    /// Logs in and returns the access token.
    pub fn login(&self, email: &str, password: &str) -> anyhow::Result<String> {
        let answer = json!({ "email": email, "password": password });
        let answer = self.post("/v1/users/login", None, &answer)?.expect(200)?;
        ensure!(
            answer["token_type"] == "Bearer" && answer["expires_in"] == 3600,
            "{answer}"
        );
        Ok(answer["access_token"]
            .as_str()
            .context("no access_token")?
            .to_owned())
    }

    /// The token of the shop's first administrator.
    pub fn administrator(
        &self,
        kubectl: &Kubectl,
        namespace: &str,
        storefront: &str,
    ) -> anyhow::Result<String> {
        let secret = format!("{storefront}-admin");
        let email = kubectl.secret(namespace, &secret, "email")?;
        let password = kubectl.secret(namespace, &secret, "password")?;
        self.login(&email, &password)
    }

    /// Imports products from CSV.
    pub fn import(&self, admin: &str, csv: &str) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, "/v1/products/import", Some(admin));
        answer(
            request
                .header("content-type", "text/csv")
                .body(csv.to_owned()),
        )?
        .expect(200)
    }

    /// The id of a product that is for sale, among the first ones of the list.
    pub fn first_product(&self) -> anyhow::Result<String> {
        self.product("/v1/products?limit=100")
    }

    /// The id of a product that is for sale and whose title or description has a word.
    pub fn product_about(&self, word: &str) -> anyhow::Result<String> {
        self.product(&format!("/v1/products?q={word}"))
    }

    fn product(&self, path: &str) -> anyhow::Result<String> {
        let found = self.get(path, None)?.expect(200)?;
        let mut items = found["items"].as_array().into_iter().flatten();
        let sold = items.find(|item| item["available"].as_i64() > Some(0));
        let id = sold.and_then(|item| item["id"].as_str());
        Ok(id.context("nothing is for sale")?.to_owned())
    }

    /// One order attempt of one unit each of some products.
    pub fn order(&self, shopper: &Shopper, key: &str, items: &[&str]) -> anyhow::Result<Answer> {
        let items: Vec<Value> = items
            .iter()
            .map(|id| json!({ "product_id": id, "quantity": 1 }))
            .collect();
        let body = json!({
            "items": items,
            "address": {
                "name": "Ada Shopper", "line1": "Main Street 1",
                "postal_code": "10115", "city": "Berlin", "country": "DE"
            },
            "payment_method": "manual"
        });
        let request = self.request(Method::POST, "/v1/orders", Some(&shopper.token));
        answer(request.header("idempotency-key", key).json(&body))
    }
}

/// A client without proxies; `host` is resolved to the address, as DNS would do for a real shop.
pub fn client(host: Option<(&str, SocketAddr)>) -> anyhow::Result<Client> {
    let builder = Client::builder()
        .timeout(Duration::from_secs(20))
        .no_proxy();
    let builder = match host {
        Some((host, address)) => builder.resolve(host, address),
        None => builder,
    };
    Ok(builder.build()?)
}

/// Sends and reads whole.
pub fn answer(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send()?;
    let status = response.status().as_u16();
    let text = response.text()?;
    Ok(Answer {
        status,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
    })
}
