/// `cargo run -p order -- openapi > services/order/openapi.json` puts it right.
#[test]
fn the_committed_document_is_what_the_code_says() {
    assert_eq!(include_str!("../../openapi.json"), order::openapi());
}
