//! A newer operator replaces no pods of a shop that is held at its release, because whoever changes a template gives the
//! change a revision.
//!
//! `held/*.yaml` are shops as an earlier operator made them, and `held/templates.tsv` has a digest of each of their pod
//! templates, for each revision. None of it follows the code: a file is never edited, a line neither. What a new field does to
//! pods is seen by a shop in a new file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crds::{ReleaseImages, ServiceDeployment, Storefront, StorefrontStatus};
use kube::core::ResourceExt;
use operator_plan::{Planned, hash, service_deployment};

use crate::fixtures::{decoded, migrated_by, platform};
use crate::releases::{plan, run_by};

/// Set to write the lines that are missing.
const RECORD: &str = "STOREFRONT_RECORD_TEMPLATES";
/// What to run then.
const COMMAND: &str = "STOREFRONT_RECORD_TEMPLATES=1 cargo test -p operator-plan --test plan held";

/// Revision, shop and workload.
type Line = (i32, String);
/// The digest of the pod template of each.
type Digests = BTreeMap<Line, String>;

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "plan", "held"]
        .iter()
        .collect()
}

fn recorded(text: &str) -> Digests {
    let lines = text.lines().map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [revision, template, digest] = fields[..] else {
            panic!("three fields, separated by tabs: {line}");
        };
        let revision = revision.parse().expect("a revision");
        ((revision, template.to_owned()), digest.to_owned())
    });
    lines.collect()
}

fn written(digests: &Digests) -> String {
    let lines = digests.iter();
    let lines =
        lines.map(|((revision, template), digest)| format!("{revision}\t{template}\t{digest}\n"));
    lines.collect()
}

/// The newest revision of templates: that of a shop without a status.
fn newest() -> i32 {
    let text = std::fs::read_to_string(folder().join("demo.yaml")).expect("a shop");
    let shop = decoded::<Storefront>(&text).remove(0);
    let status = run_by(shop, &platform()).status.expect("a status");
    status.templates.expect("a revision")
}

/// The shop, held at a release with this revision of templates by an operator of another release.
fn held(mut shop: Storefront, revision: i32) -> Storefront {
    shop.spec.version = None;
    shop.status = Some(StorefrontStatus {
        version: Some("0.9.0".into()),
        templates: Some(revision),
        images: Some(ReleaseImages {
            registry: "registry.example".into(),
            tag: "0.9.0".into(),
            digests: BTreeMap::new(),
        }),
        ..StorefrontStatus::default()
    });
    shop
}

/// What is planned for a shop and for the services of teams in it.
fn planned(text: &str, revision: i32) -> Vec<Planned> {
    let shop = held(decoded::<Storefront>(text).remove(0), revision);
    let mut all = plan(&shop, &platform());
    for service in decoded::<ServiceDeployment>(text) {
        let seen = migrated_by(&platform(), &service, &shop);
        let valid = service_deployment::validate(&service, &seen, &platform()).ready();
        all.extend(service_deployment::desired(&valid.expect("valid")).items);
    }
    all
}

fn digests(revisions: &RangeInclusive<i32>) -> Digests {
    let mut found = Digests::new();
    for entry in std::fs::read_dir(folder()).expect("the folder is there") {
        let path = entry.expect("a file").path();
        if path.extension().is_none_or(|it| it != "yaml") {
            continue;
        }
        let file = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).expect("a shop");
        for revision in revisions.clone() {
            for item in planned(&text, revision) {
                // A Job's pods have ended, or are about to.
                if ["Deployment", "StatefulSet"].contains(&&*item.key.kind) {
                    let template = item.body["spec"]["template"].to_string();
                    let name = format!("{file} {} {}", item.key.kind, item.key.name);
                    found.insert((revision, name), hash::short([template.as_bytes()]));
                }
            }
        }
    }
    found
}

/// What is wrong with the templates of today, and what to do about it.
fn complaint(recorded: &Digests, today: &Digests) -> Option<String> {
    let name =
        |(revision, template): &Line| format!("  {template}, of a shop at revision {revision}\n");
    let changed = recorded
        .iter()
        .filter(|(line, digest)| today.get(line) != Some(digest));
    let changed: String = changed.map(|(line, _)| name(line)).collect();
    let missing: String = today
        .keys()
        .filter(|line| !recorded.contains_key(line))
        .map(name)
        .collect();
    if !changed.is_empty() {
        return Some(format!(
            "A newer operator would replace pods of shops that have not taken its release, because their templates differ from \
             what is recorded:\n{changed}If that is meant, write both forms: add a Change with the next revision, what it is \
             and why to CHANGES of operator/plan/src/release.rs, put `if release.has(&YOUR_CHANGE) {{ new }} else {{ old }}` where \
             the template is made, and record the new revision: {COMMAND}. If not, take back what changed them (a hash \
             in an annotation stands for a configuration or a Secret; the snapshots of this crate show the difference). \
             operator/plan/README.md, \"Changing a template\", says more."
        ));
    }
    (!missing.is_empty()).then(|| {
        format!("These templates are not recorded yet:\n{missing}To record them: {COMMAND}")
    })
}

#[test]
fn a_newer_operator_replaces_no_pods_of_a_shop_that_is_held_at_its_release() {
    let file = folder().join("templates.tsv");
    let mut known = recorded(&std::fs::read_to_string(&file).unwrap_or_default());
    let revisions: BTreeSet<i32> = known.keys().map(|(revision, _)| *revision).collect();
    let newest = newest();
    let oldest = revisions.first().copied().unwrap_or(newest);
    let today = digests(&(oldest..=newest));
    if std::env::var_os(RECORD).is_some() {
        for (line, digest) in &today {
            known.entry(line.clone()).or_insert_with(|| digest.clone());
        }
        std::fs::write(&file, written(&known)).expect("the digests are written");
    }
    if let Some(complaint) = complaint(&known, &today) {
        panic!("{complaint}");
    }
}

#[test]
fn a_template_that_changes_without_a_revision_is_named_with_what_to_do() {
    let line = (1, "demo Deployment demo-order".to_owned());
    let was = Digests::from([(line.clone(), "0000000001".to_owned())]);
    assert_eq!(complaint(&was, &was), None);
    let is = Digests::from([(line, "0000000002".to_owned())]);
    let text = complaint(&was, &is).expect("a complaint");
    for part in [
        "demo Deployment demo-order, of a shop at revision 1",
        "add a Change",
        "take back",
        COMMAND,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // A new one, or one of a new revision, is no change.
    let new = complaint(&Digests::new(), &is).expect("a complaint");
    assert!(new.contains("not recorded yet"), "{new}");
    // A workload that is gone is one.
    assert!(complaint(&was, &Digests::new()).is_some());
    assert_eq!(recorded(&written(&was)), was);
}

#[test]
fn the_held_shops_have_every_kind_of_pod() {
    let text = std::fs::read_to_string(folder().join("demo.yaml")).expect("a shop");
    let names: Vec<String> = planned(&text, 1)
        .iter()
        .map(|it| it.key.name.clone())
        .collect();
    let shop = decoded::<Storefront>(&text).remove(0).name_any();
    for part in ["postgres", "nats", "redis", "gateway", "order"] {
        assert!(names.contains(&format!("{shop}-{part}")), "{names:?}");
    }
    assert!(names.contains(&"reviews".to_owned()), "{names:?}");
}
