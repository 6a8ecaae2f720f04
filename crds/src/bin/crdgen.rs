//! Prints the CustomResourceDefinitions, writes them to a folder, or checks that a folder holds them.

use std::{env, fs, path::Path, process::ExitCode};

const USAGE: &str = "usage: crdgen [--write DIR | --check DIR]
  without arguments: print every CustomResourceDefinition as YAML
  --write DIR: write one file for each into DIR
  --check DIR: exit 1 and name the files that differ";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        [] => print(),
        ["--write", dir] => write(Path::new(dir)),
        ["--check", dir] => check(Path::new(dir)),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn files() -> Result<Vec<(String, String)>, String> {
    crds::manifests::files().map_err(|e| format!("cannot write a definition as YAML: {e}"))
}

fn print() -> Result<(), String> {
    for (_, yaml) in files()? {
        println!("---\n{yaml}");
    }
    Ok(())
}

fn write(dir: &Path) -> Result<(), String> {
    for (name, yaml) in files()? {
        let path = dir.join(name);
        fs::write(&path, yaml).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    Ok(())
}

fn check(dir: &Path) -> Result<(), String> {
    let stale: Vec<String> = files()?
        .into_iter()
        .map(|(name, yaml)| (dir.join(name), yaml))
        .filter(|(path, yaml)| fs::read_to_string(path).ok().as_deref() != Some(yaml))
        .map(|(path, _)| path.display().to_string())
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not as generated, run `make gen`: {}",
        stale.join(", ")
    ))
}
