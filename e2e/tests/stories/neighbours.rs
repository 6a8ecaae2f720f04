//! (f) Two Storefronts in two namespaces do not see each other.

use crate::support::ShopFixture;

#[test]
fn accounts_tokens_and_products_of_one_shop_mean_nothing_in_another() -> anyhow::Result<()> {
    let (here, there) = (ShopFixture::start("here")?, ShopFixture::start("there")?);
    let ada = here.shop.register("ada")?;

    let login = serde_json::json!({ "email": ada.email, "password": e2e::shop::PASSWORD });
    there
        .shop
        .post("/v1/users/login", None, &login)?
        .expect(401)?;
    there
        .shop
        .get(&format!("/v1/users/{}", ada.id), Some(&ada.token))?
        .expect(401)?;

    let csv = "sku,title,description,category,on_hand,price_EUR,price_USD\n\
               ONLY-HERE,Only here,A thing of this shop,things,5,100,110\n";
    here.shop.import(&here.administrator()?, csv)?;
    let found = there
        .shop
        .get("/v1/products?limit=100", None)?
        .expect(200)?;
    anyhow::ensure!(
        found["items"].as_array().is_some_and(Vec::is_empty),
        "{found}"
    );
    // The same name may be taken in each.
    there.shop.register("ada")?;
    Ok(())
}
