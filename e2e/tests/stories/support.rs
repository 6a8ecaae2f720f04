//! What several stories begin with.

use std::time::Duration;

use e2e::{Kubectl, Namespace, Shop, eventually};

/// How long a shop may take to become Ready on a busy two-core machine. The number users see is in
/// the README; this bound only ends a story that will never pass.
pub const READY: Duration = Duration::from_secs(240);

/// How long the edge may take to follow.
const EDGE: Duration = Duration::from_secs(15);

/// The catalogue that the project ships.
pub const CATALOGUE: &str = include_str!("../../../services/product/seed/products.csv");

/// A shop in a namespace of its own, ready to sell.
pub struct Stage {
    /// The cluster.
    pub kubectl: Kubectl,
    /// Where the shop lives.
    pub namespace: Namespace,
    /// The shop as clients see it.
    pub shop: Shop,
}

impl Stage {
    /// Applies a Storefront named `shop` and waits until it is Ready.
    pub fn set(story: &str) -> anyhow::Result<Self> {
        Self::set_with(story, "")
    }

    /// The same with more lines in its spec.
    pub fn set_with(story: &str, spec: &str) -> anyhow::Result<Self> {
        let kubectl = Kubectl::from_env()?;
        let namespace = Namespace::restricted(&kubectl, story)?;
        let manifest = storefront(story, "Delete") + spec;
        kubectl.apply(namespace.name(), &manifest)?;
        kubectl.wait_for(namespace.name(), "storefront/shop", "Ready", READY)?;
        let shop = open(&kubectl, namespace.name())?;
        Ok(Self {
            kubectl,
            namespace,
            shop,
        })
    }

    /// The administrator's token.
    pub fn administrator(&self) -> anyhow::Result<String> {
        self.shop
            .administrator(&self.kubectl, self.namespace.name(), "shop")
    }

    /// kubectl in the story's namespace.
    pub fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        self.kubectl
            .run(&[&["-n", self.namespace.name()], args].concat())
    }
}

/// The shop named `shop`, once its edge answers.
pub fn open(kubectl: &Kubectl, namespace: &str) -> anyhow::Result<Shop> {
    let shop = Shop::of(kubectl, namespace, "shop")?;
    // Ready says that every part is there; the edge follows the last of them within a moment, as
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
        eventually(&format!("{path} answers"), EDGE, || {
            shop.get(path, None)?.expect(status)
        })?;
    }
    // Whoever is Ready takes a token at once: the gateway has the keys, or waits for them.
    let admin = shop.administrator(kubectl, namespace, "shop")?;
    for path in ["/v1/orders", "/v1/notifications"] {
        shop.get(path, Some(&admin))?.expect(200)?;
    }
    Ok(shop)
}

/// The manifest of a Storefront named `shop`.
pub fn storefront(story: &str, deletion_policy: &str) -> String {
    format!(
        "apiVersion: storefront.dev/v1alpha1
kind: Storefront
metadata: {{ name: shop }}
spec:
  hostnames: [{story}.localhost]
  currencies: [EUR, USD]
  deletionPolicy: {deletion_policy}
  notifications:
    email:
      smtp: {{ host: mailpit.mail.svc.cluster.local, port: 1025, from: shop@{story}.localhost }}
"
    )
}
