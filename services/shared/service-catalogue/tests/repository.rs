//! Files that list the services by hand, or have one file per service, agree with the enum.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, iter};

use service_catalogue::Service;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn folders(path: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(path)).expect("the folder is readable");
    entries
        .map(|entry| entry.expect("the entry is readable"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("the name is UTF-8"))
        .collect()
}

fn names(services: impl Iterator<Item = Service>) -> BTreeSet<String> {
    services.map(|service| service.name().to_owned()).collect()
}

#[test]
fn every_variant_is_listed_once_and_is_found_by_its_name() {
    let distinct: BTreeSet<_> = Service::ALL.into_iter().collect();
    assert_eq!(distinct.len(), Service::ALL.len());
    for service in Service::ALL {
        assert_eq!(service.name().parse(), Ok(service));
    }
    let error = "cart".parse::<Service>().expect_err("there is no cart");
    assert!(error.to_string().contains("auth, user, product"), "{error}");
}

#[test]
fn every_service_is_a_member_of_the_workspace() {
    let manifest = read("Cargo.toml");
    for service in Service::ALL {
        let member = format!("\"services/{service}\"");
        assert!(manifest.contains(&member), "Cargo.toml has no {member}");
    }
    let mut found = folders("services");
    // Not services of the shop: the data plane, and the libraries.
    for other in ["gateway", "shared"] {
        assert!(found.remove(other));
    }
    assert_eq!(found, names(Service::ALL.into_iter()));
}

#[test]
fn a_service_with_a_schema_has_migrations_and_no_other_has() {
    let with_schema = Service::ALL.into_iter().filter(|s| s.has_database());
    assert_eq!(folders("migrations"), names(with_schema));
}

#[test]
fn a_service_with_an_api_has_a_document_and_no_other_has() {
    for service in Service::ALL {
        let document = root().join(format!("services/{service}/openapi.json"));
        assert_eq!(document.exists(), service.has_api(), "{service}");
    }
}

#[test]
fn every_program_that_ships_has_a_stage_in_both_image_files() {
    let programs: Vec<&str> = ["operator", "gateway"]
        .into_iter()
        .chain(Service::ALL.map(Service::name))
        .collect();
    for (file, from) in [
        ("Containerfile", String::new()),
        (
            "Dockerfile",
            "--from=build /source/target/x86_64-unknown-linux-musl/release/".to_owned(),
        ),
    ] {
        let text = read(&format!("e2e/images/services/{file}"));
        let stages: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("FROM scratch AS "))
            .collect();
        assert_eq!(stages, programs, "{file}");
        for name in &programs {
            let stage = format!(
                "FROM scratch AS {name}\nCOPY {from}{name} /{name}\nUSER 65532:65532\nENTRYPOINT [\"/{name}\"]\n"
            );
            assert!(text.contains(&stage), "{file} must contain:\n{stage}");
        }
    }
}

#[test]
fn dashboards_and_alerts_name_only_programs_that_exist() {
    let files = root().join("charts/storefront/files");
    let mut paths = vec![files.join("rules.yaml"), files.join("series.txt")];
    let dashboards = fs::read_dir(files.join("dashboards")).expect("the folder is readable");
    paths.extend(dashboards.map(|entry| entry.expect("the entry is readable").path()));
    for path in paths {
        let text = fs::read_to_string(&path).expect("the file is readable");
        let text = text.replace("\\\"", "\"");
        for after in text.split("service=\"").skip(1) {
            let value = after.split('"').next().unwrap_or_default();
            let is_known = value.starts_with('$')
                || ["storefront-operator", "gateway"].contains(&value)
                || value.parse::<Service>().is_ok();
            assert!(is_known, "{}: service={value:?}", path.display());
        }
    }
}

#[test]
fn the_program_prints_one_line_of_three_columns_per_service() {
    let output = Command::new(env!("CARGO_BIN_EXE_service-catalogue"))
        .output()
        .expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let expected = Service::ALL.map(|service| {
        let document = format!("services/{service}/openapi.json");
        let openapi = if service.has_api() {
            document
        } else {
            "-".to_owned()
        };
        iter::once(service.name().to_owned())
            .chain([service.schema().unwrap_or("-").to_owned(), openapi])
            .collect::<Vec<_>>()
    });
    assert_eq!(rows, expected);
    assert!(rows.contains(&vec!["order", "orders", "services/order/openapi.json"]));
    assert!(rows.contains(&vec!["web", "-", "-"]));
}
