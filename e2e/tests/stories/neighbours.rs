//! (f) Two Storefronts in two namespaces do not see each other.

use anyhow::ensure;
use e2e::Shop;

use crate::support::ShopFixture;

#[test]
fn accounts_tokens_and_products_of_one_shop_mean_nothing_in_another() -> anyhow::Result<()> {
    let borrow = || ShopFixture::borrow("neighbours");
    let (here, there) = (borrow()?, borrow()?);
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
               ONLY-HERE,A thing from nowhere,Sold in one shop only,things,5,100,110\n";
    here.shop.import(&here.administrator()?, csv)?;
    let finds_it = |shop: &Shop| shop.product_about("nowhere").is_ok();
    ensure!(
        finds_it(&here.shop),
        "it is not for sale where it was imported"
    );
    ensure!(!finds_it(&there.shop), "it is for sale next door");
    // The same name may be taken in each.
    there.shop.register("ada")?;
    here.give_back()?;
    there.give_back()
}
