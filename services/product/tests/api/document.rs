#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let committed = include_str!("../../openapi.json");
    assert_eq!(committed, product::openapi(), "run `make gen`");
}
