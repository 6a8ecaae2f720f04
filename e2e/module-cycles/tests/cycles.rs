//! Crates of a few files, with and without cycles between them.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::path::Path;

use module_cycles::{Crate, Cycle, cycles};

/// Writes a crate of `files` (name, source) and returns its cycles as `a.rs -> b.rs -> a.rs`.
fn cycles_of(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, source) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, source).unwrap();
    }
    let modules = Crate::load(&folder.path().join("lib.rs")).unwrap();
    let found = cycles(&modules.dependencies());
    found
        .iter()
        .map(|cycle| walk(cycle, folder.path()))
        .collect()
}

fn walk(cycle: &Cycle, folder: &Path) -> String {
    let back = cycle.0.first();
    let files = cycle
        .0
        .iter()
        .chain(back)
        .map(|edge| edge.from.strip_prefix(folder).unwrap());
    files
        .map(|file| file.display().to_string())
        .collect::<Vec<_>>()
        .join(" -> ")
}

#[test]
fn files_in_one_order_have_no_cycle() {
    let found = cycles_of(&[
        ("lib.rs", "mod api; mod store; pub use api::handler;"),
        (
            "api.rs",
            "use crate::store; pub fn handler() { store::rows::insert() }",
        ),
        ("store/mod.rs", "pub mod rows; pub struct Row;"),
        (
            "store/rows.rs",
            "use super::Row; pub fn insert() -> Row { Row }",
        ),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_cycle_of_three_files_is_found_with_every_path_that_makes_it() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B;\npub fn b() { crate::c::c() }"),
        ("c.rs", "use crate::a;\npub fn c() -> a::A { todo!() }"),
    ];
    assert_eq!(cycles_of(&files), ["a.rs -> b.rs -> c.rs -> a.rs"]);

    let folder = tempfile::tempdir().unwrap();
    for (name, source) in files {
        fs::write(folder.path().join(name), source).unwrap();
    }
    let modules = Crate::load(&folder.path().join("lib.rs")).unwrap();
    let shown = cycles(&modules.dependencies())[0].to_string();
    for line in ["a.rs:1: crate::b::B", "b.rs:2: crate::c::c", "c.rs:2: a::A"] {
        assert!(shown.contains(line), "{line} is missing in\n{shown}");
    }
}

#[test]
fn a_child_that_needs_its_parent_and_is_needed_by_it_is_a_cycle() {
    let found = cycles_of(&[
        ("lib.rs", "mod loops;"),
        (
            "loops.rs",
            "mod step; pub struct State; pub fn run() { step::step(State) }",
        ),
        ("loops/step.rs", "pub fn step(_: super::State) {}"),
    ]);
    assert_eq!(found, ["loops/step.rs -> loops.rs -> loops/step.rs"]);
}

#[test]
fn a_reexport_counts_as_the_file_that_defines_the_item() {
    let facade = (
        "store/mod.rs",
        "mod error; pub mod rows; pub use error::StoreError;",
    );
    let found = cycles_of(&[
        ("lib.rs", "mod store;"),
        facade,
        ("store/error.rs", "pub struct StoreError;"),
        (
            "store/rows.rs",
            "use super::StoreError; pub fn insert() -> StoreError { StoreError }",
        ),
    ]);
    assert_eq!(found, Vec::<String>::new());

    let found = cycles_of(&[
        ("lib.rs", "mod store;"),
        facade,
        (
            "store/error.rs",
            "use super::rows; pub struct StoreError; fn e() { rows::insert(); }",
        ),
        (
            "store/rows.rs",
            "use super::StoreError; pub fn insert() -> StoreError { StoreError }",
        ),
    ]);
    assert_eq!(found, ["store/error.rs -> store/rows.rs -> store/error.rs"]);
}

#[test]
fn paths_inside_macros_and_attributes_are_seen() {
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "pub struct A; pub fn a() { println!(\"{}\", crate::b::b()); }",
        ),
        (
            "b.rs",
            "#[cfg_attr(docs, body = crate::a::A)] pub fn b() -> u8 { 0 }",
        ),
    ]);
    assert_eq!(found, ["a.rs -> b.rs -> a.rs"]);
}

#[test]
fn tests_may_use_what_they_like() {
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "pub struct A; #[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] mod more;",
        ),
        ("b.rs", "pub struct B(crate::a::A);"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn names_of_other_crates_are_no_modules_of_this_one() {
    let found = cycles_of(&[
        ("lib.rs", "mod http; mod api;"),
        (
            "http.rs",
            "use http::StatusCode; pub fn answer() { crate::api::handler() }",
        ),
        (
            "api.rs",
            "use http::Request; use std::fmt; pub fn handler() -> fmt::Result { Ok(()) }",
        ),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_reexport_is_no_use_of_the_item_and_naming_it_is_one() {
    let child = ("store/rows.rs", "pub struct Row(super::Key);");
    let facade = "mod rows; pub use rows::Row; pub struct Key;";
    assert_eq!(
        cycles_of(&[("lib.rs", "mod store;"), ("store/mod.rs", facade), child]),
        Vec::<String>::new()
    );

    let user = "mod rows; pub use rows::Row; pub struct Key; pub fn find() -> Option<Row> { None }";
    let found = cycles_of(&[("lib.rs", "mod store;"), ("store/mod.rs", user), child]);
    assert_eq!(found, ["store/mod.rs -> store/rows.rs -> store/mod.rs"]);
}
