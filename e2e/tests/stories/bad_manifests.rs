//! (b) A bad manifest is refused at apply, with the field named.

use anyhow::{Context as _, ensure};
use e2e::{Kubectl, Namespace};

#[test]
fn every_bad_example_is_refused_with_the_field_named() -> anyhow::Result<()> {
    let kubectl = Kubectl::from_env()?;
    let namespace = Namespace::restricted(&kubectl, "bad")?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/examples/bad");
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let manifest = here(&path, &namespace)?;
        // The first line says why: `# refused: <field>: <reason>`.
        let why = manifest
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# refused: "));
        let why = why.with_context(|| format!("{} does not say why", path.display()))?;
        let field = why.split(':').next().context("no field")?;
        let Err(refusal) = kubectl.apply(namespace.name(), &manifest) else {
            anyhow::bail!("{} was accepted", path.display());
        };
        // A place in a list is named with its index; the comment names the field of any.
        let refusal = without_indexes(&format!("{refusal:#}"));
        ensure!(
            refusal.contains(field),
            "{}: {field} is not in {refusal}",
            path.display()
        );
        count += 1;
    }
    ensure!(count >= 10, "only {count} bad examples");
    Ok(())
}

#[test]
fn every_good_example_is_accepted() -> anyhow::Result<()> {
    let kubectl = Kubectl::from_env()?;
    let namespace = Namespace::restricted(&kubectl, "good")?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/examples/good");
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let manifest = here(&path, &namespace)?;
        let accepted = kubectl.check(namespace.name(), &manifest);
        accepted.with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// The example, in the story's namespace.
fn here(path: &std::path::Path, namespace: &Namespace) -> anyhow::Result<String> {
    let manifest = std::fs::read_to_string(path)?;
    let place = format!("namespace: {}", namespace.name());
    Ok(manifest.replace("namespace: shops", &place))
}

/// `spec.routes[2].path` as `spec.routes.path`.
fn without_indexes(text: &str) -> String {
    let mut plain = String::new();
    for part in text.split('[') {
        match part.split_once(']') {
            Some((index, rest)) if index.bytes().all(|byte| byte.is_ascii_digit()) => {
                plain.push_str(rest);
            }
            _ => plain.push_str(part),
        }
    }
    plain
}
