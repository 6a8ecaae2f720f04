//! `module-cycles FILE...`: each FILE is the root of a crate (`src/lib.rs`, `src/main.rs`). Prints the cycles
//! between the files below it, and exits with 1 when there is one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use module_cycles::{Crate, cycles};

fn main() -> anyhow::Result<ExitCode> {
    let mut found = false;
    for root in std::env::args_os().skip(1).map(PathBuf::from) {
        let modules =
            Crate::load(&root).with_context(|| format!("failed to read {}", root.display()))?;
        let cycles = cycles(&modules.dependencies());
        if cycles.is_empty() {
            continue;
        }
        found = true;
        println!(
            "{}: {} between files",
            root.display(),
            counted(cycles.len())
        );
        for cycle in cycles {
            println!("{cycle}");
        }
    }
    Ok(if found {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn counted(cycles: usize) -> String {
    if cycles == 1 {
        "1 cycle".to_owned()
    } else {
        format!("{cycles} cycles")
    }
}
