//! What several stories begin with: a shop in a namespace of its own.

use std::time::Duration;

use anyhow::Context as _;
use e2e::{Kubectl, Namespace, Shop, eventually};
use serde_json::Value;

/// How long a shop may take to become Ready on a busy two-core machine. docs/benchmarks.md states what users see;
/// this bound only ends a story that will never pass.
pub const READY: Duration = Duration::from_secs(240);

/// How long the gateway may take to serve the last service that became ready.
const SERVED: Duration = Duration::from_secs(15);

/// How long kubectl waits for the deletion of a shop or its namespace.
pub const DELETED: &str = "--timeout=180s";

/// The catalogue that the project ships.
pub const CATALOGUE: &str = include_str!("../../../services/product/seed/products.csv");

/// A namespace in which a story applies, changes and deletes a Storefront named `shop`.
pub struct ShopNamespace {
    pub kubectl: Kubectl,
    pub namespace: Namespace,
    hostname: String,
}

impl ShopNamespace {
    pub fn new(story: &str) -> anyhow::Result<Self> {
        Self::made(Kubectl::from_env()?, story)
    }

    fn made(kubectl: Kubectl, story: &str) -> anyhow::Result<Self> {
        let namespace = Namespace::restricted(&kubectl, story)?;
        let hostname = format!("{story}.localhost");
        Ok(Self {
            kubectl,
            namespace,
            hostname,
        })
    }

    pub fn name(&self) -> &str {
        self.namespace.name()
    }

    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// kubectl in this namespace.
    pub fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        self.kubectl.run(&[&["-n", self.name()], args].concat())
    }

    /// Applies the Storefront, with more lines of its spec (each with an indent of two), and does not wait.
    pub fn apply(&self, deletion_policy: &str, more: &str) -> anyhow::Result<()> {
        let manifest = storefront(&self.hostname, deletion_policy) + more;
        self.kubectl.apply(self.name(), &manifest)?;
        Ok(())
    }

    pub fn wait_until_ready(&self) -> anyhow::Result<()> {
        self.kubectl
            .wait_for(self.name(), "storefront/shop", "Ready", READY)
    }

    /// Applies the Storefront and returns the shop, once it is Ready and its gateway serves every service.
    pub fn start(&self, deletion_policy: &str) -> anyhow::Result<Shop> {
        self.apply(deletion_policy, "")?;
        self.wait_until_ready()?;
        self.wait_until_served()
    }

    pub fn delete_shop(&self) -> anyhow::Result<()> {
        self.run(&["delete", "storefront/shop", "--wait=true", DELETED])?;
        Ok(())
    }

    fn wait_until_served(&self) -> anyhow::Result<Shop> {
        let shop = Shop::of(&self.kubectl, self.name(), "shop")?;
        // Ready means that every part is ready; the gateway learns of the last of them a moment later, as
        // every Gateway API data plane does.
        for (path, status) in [
            ("/.well-known/jwks.json", 200),
            ("/v1/products?limit=1", 200),
            ("/v1/users/00000000-0000-7000-8000-000000000000", 401),
            ("/v1/orders", 401),
            ("/v1/payments/00000000-0000-7000-8000-000000000000", 401),
            ("/v1/notifications", 401),
            ("/openapi/user.json", 200),
        ] {
            eventually(&format!("{path} is served"), SERVED, || {
                shop.get(path, None)?.expect(status)
            })?;
        }
        // Once Ready, tokens are accepted at once: the gateway has the signing keys, or waits for them.
        let admin = shop.administrator(&self.kubectl, self.name(), "shop")?;
        for path in ["/v1/orders", "/v1/notifications"] {
            shop.get(path, Some(&admin))?.expect(200)?;
        }
        Ok(shop)
    }
}

/// A running shop in a namespace of its own.
pub struct ShopFixture {
    pub kubectl: Kubectl,
    pub shop: Shop,
    place: ShopNamespace,
}

impl ShopFixture {
    pub fn start(story: &str) -> anyhow::Result<Self> {
        Self::start_with(story, "")
    }

    /// The same, with more lines of its spec.
    pub fn start_with(story: &str, more: &str) -> anyhow::Result<Self> {
        let place = ShopNamespace::new(story)?;
        place.apply("Delete", more)?;
        Self::served(place)
    }

    /// A shop as it is by default, of which nobody else makes use: one that an earlier story gave back, or a new one. It may have
    /// customers, products and orders of others. Most of a story's cost is the shop that it begins with.
    pub fn borrow(story: &str) -> anyhow::Result<Self> {
        let kubectl = Kubectl::from_env()?;
        let place = if let Some(namespace) = Namespace::left(&kubectl)? {
            let name = namespace.name();
            eprintln!("the shop in {name} has served other stories before");
            let shop = kubectl.get(name, "storefront/shop")?;
            let hostname = shop["spec"]["hostnames"][0].as_str();
            ShopNamespace {
                hostname: hostname.context("a shop without a hostname")?.to_owned(),
                namespace,
                kubectl,
            }
        } else {
            let place = ShopNamespace::made(kubectl, story)?;
            place.apply("Delete", "")?;
            place
        };
        let mut fixture = Self::served(place)?;
        // A cluster that was kept has the shoppers of the last run.
        let visitor = format!("{story}-{}", std::process::id());
        fixture.shop = fixture.shop.visited_by(&visitor);
        Ok(fixture)
    }

    /// Leaves a borrowed shop, which is as it was but for customers, products and orders, to other stories. Without this, the end
    /// of the story is the end of the shop.
    pub fn give_back(self) -> anyhow::Result<()> {
        self.wait_until_ready()?;
        self.place.namespace.leave()
    }

    fn served(place: ShopNamespace) -> anyhow::Result<Self> {
        place.wait_until_ready()?;
        let shop = place.wait_until_served()?;
        Ok(Self {
            kubectl: place.kubectl.clone(),
            shop,
            place,
        })
    }

    pub fn namespace(&self) -> &str {
        self.place.name()
    }

    pub fn hostname(&self) -> &str {
        self.place.hostname()
    }

    /// The token of the shop's first administrator.
    pub fn administrator(&self) -> anyhow::Result<String> {
        self.shop
            .administrator(&self.kubectl, self.namespace(), "shop")
    }

    /// kubectl in the shop's namespace.
    pub fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        self.place.run(args)
    }

    pub fn wait_until_ready(&self) -> anyhow::Result<()> {
        self.place.wait_until_ready()
    }

    /// One object of the shop's namespace, such as `deployment/shop-order`.
    pub fn get(&self, object: &str) -> anyhow::Result<Value> {
        self.kubectl.get(self.namespace(), object)
    }

    /// A condition of an object of the shop's namespace.
    pub fn condition(&self, object: &str, condition: &str) -> anyhow::Result<Value> {
        self.kubectl.condition(self.namespace(), object, condition)
    }

    /// Host and port of one of the shop's services, past the gateway.
    pub fn service_address(&self, service: &str) -> anyhow::Result<String> {
        let spec = &self.get(&format!("service/shop-{service}"))?["spec"];
        let host = spec["clusterIP"].as_str().context("no address")?;
        Ok(format!("{host}:{}", spec["ports"][0]["port"]))
    }
}

fn storefront(hostname: &str, deletion_policy: &str) -> String {
    format!(
        "apiVersion: storefront.dev/v1alpha1
kind: Storefront
metadata: {{ name: shop }}
spec:
  hostnames: [{hostname}]
  currencies: [EUR, USD]
  deletionPolicy: {deletion_policy}
  accounts:
    registrations: {{ perClient: 1000, perNetwork: 1000 }}
  notifications:
    email:
      smtp: {{ host: mailpit.mail.svc.cluster.local, port: 1025, from: shop@{hostname} }}
"
    )
}
