//! (i) A team's own service joins a shop by one ServiceDeployment with a database and routes.
//!
//! The manifest is the example that the project ships; the image is `e2e/team-service`, which knows
//! nothing of the platform but files under `/bindings`.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::database::Server;
use e2e::eventually;
use serde_json::json;

use crate::support::{READY, ShopFixture};

const EXAMPLE: &str = include_str!("../../../crds/examples/good/team-service.yaml");

#[test]
fn a_team_adds_a_service_with_a_database_and_routes() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("team")?;
    let (namespace, shop) = (fixture.namespace(), &fixture.shop);
    fixture.kubectl.apply(namespace, &here(EXAMPLE)?)?;
    fixture
        .kubectl
        .wait_for(namespace, "databasebinding/reviews", "Ready", READY)?;
    fixture
        .kubectl
        .wait_for(namespace, "servicedeployment/reviews", "Ready", READY)?;

    eventually("the route answers", Duration::from_secs(30), || {
        shop.get("/v1/reviews", None)?.expect(200)
    })?;
    let review = json!({ "product": "coffee", "text": "Strong.", "stars": 5 });
    shop.post("/v1/reviews", None, &review)?.expect(201)?;
    let reviews = shop.get("/v1/reviews", None)?.expect(200)?;
    ensure!(reviews["items"][0] == review, "{reviews}");

    // Whom the gateway lets in is what the manifest says, without a line of code in the service.
    let ada = shop.register("ada")?;
    shop.get("/v1/reviews/moderation", None)?.expect(401)?;
    shop.get("/v1/reviews/moderation", Some(&ada.token))?
        .expect(403)?;
    shop.get("/v1/reviews/moderation", Some(&fixture.administrator()?))?
        .expect(200)?;

    // The login of its Secret reaches its own database and no other one.
    let username = fixture
        .kubectl
        .credential(namespace, "reviews", "username")?;
    let reach = format!(
        "select count(*) from pg_database where not datistemplate and datname <> 'postgres'
         and has_database_privilege('{username}', datname, 'connect')"
    );
    let server = Server::of(&fixture.kubectl, namespace, "shop");
    ensure!(
        server.query("postgres", &reach)? == "1",
        "{username} may connect elsewhere"
    );
    let theirs = ["servicedeployment/reviews", "databasebinding/reviews"];
    fixture.run(&[&["delete", "--wait=true", "--timeout=60s"], &theirs[..]].concat())?;
    fixture.give_back()
}

/// The example, moved into the story's namespace and shop, with the image that the cluster holds.
fn here(example: &str) -> anyhow::Result<String> {
    let image = e2e::kubectl::env("STOREFRONT_TEAM_IMAGE")
        .context("the image of e2e/team-service; `make e2e` builds and loads it")?;
    let mut manifest = String::new();
    for line in example
        .lines()
        .filter(|line| line.trim() != "namespace: shops")
    {
        let indent = &line[..line.len() - line.trim_start().len()];
        if line.trim_start().starts_with("image:") {
            writeln!(manifest, "{indent}image: {image}")?;
        } else {
            manifest.push_str(&line.replace("demo", "shop"));
            manifest.push('\n');
        }
    }
    Ok(manifest)
}
