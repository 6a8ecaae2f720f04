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
        let manifest = std::fs::read_to_string(&path)?;
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
        let refusal = format!("{refusal:#}");
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
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/examples/good");
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let file = path.to_str().context("a path that is not text")?;
        let dry_run = [
            "apply",
            "--server-side",
            "--dry-run=server",
            "--force-conflicts",
            "-f",
            file,
        ];
        kubectl.run(&dry_run)?;
    }
    Ok(())
}
