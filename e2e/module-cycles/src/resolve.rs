//! From a written path to the file that defines what it names.

use std::path::PathBuf;

use crate::load::{Crate, Module, ModuleId, ROOT};
use crate::paths::WrittenPath;

/// Imports that lead through more imports than this are taken for a loop.
const MAX_DEPTH: usize = 16;

/// `from` names, in `line`, an item that `to` defines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// The file that names the item.
    pub from: PathBuf,
    /// The file that defines it.
    pub to: PathBuf,
    /// Where `from` names it first.
    pub line: usize,
    /// The path as it is written there.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Module(ModuleId),
    /// An item that this module defines.
    Item(ModuleId),
}

impl Crate {
    /// Every dependency between two different files, sorted.
    #[must_use]
    pub fn dependencies(&self) -> Vec<Dependency> {
        let mut all: Vec<_> = (0..self.modules.len())
            .flat_map(|from| self.dependencies_of(from))
            .collect();
        all.sort();
        all.dedup_by(|a, b| (&a.from, &a.to) == (&b.from, &b.to));
        all
    }

    fn dependencies_of(&self, from: ModuleId) -> Vec<Dependency> {
        let module = &self.modules[from];
        let imports = module
            .names
            .imports
            .iter()
            .filter(|import| !import.reexport);
        let imports = imports.map(|import| (&import.path, import.name.is_none()));
        let paths = module
            .names
            .paths
            .iter()
            .filter(|path| counts(module, path))
            .map(|path| (path, false));
        let edge = |path: &WrittenPath, to: ModuleId| Dependency {
            from: module.file.clone(),
            to: self.modules[to].file.clone(),
            line: path.line,
            path: path.segments.join("::"),
        };
        let edges = imports.chain(paths).filter_map(|(path, glob)| {
            match self.resolve(from, &path.segments, 0)? {
                Target::Item(to) => Some(edge(path, to)),
                // A module is only a name on the way to an item; its glob stands for all its items.
                Target::Module(to) => glob.then(|| edge(path, to)),
            }
        });
        edges.filter(|edge| edge.from != edge.to).collect()
    }

    /// What `segments`, written in module `at`, name; `None` where that is outside of the crate.
    fn resolve(&self, at: ModuleId, segments: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = segments.split_first()?;
        let start = match first.as_str() {
            "crate" => Target::Module(ROOT),
            "self" => Target::Module(at),
            "super" => Target::Module(self.modules[at].parent?),
            name => self.lookup(at, name, depth)?,
        };
        rest.iter().try_fold(start, |target, name| match target {
            Target::Module(module) if name == "super" => {
                self.modules[module].parent.map(Target::Module)
            }
            // A name that nothing defines is made by a macro: the module's own.
            Target::Module(module) => Some(
                self.lookup(module, name, depth)
                    .unwrap_or(Target::Item(module)),
            ),
            // What follows an item belongs to it: a variant, an associated function.
            Target::Item(_) => Some(target),
        })
    }

    fn lookup(&self, at: ModuleId, name: &str, depth: usize) -> Option<Target> {
        let module = &self.modules[at];
        if depth > MAX_DEPTH {
            return None;
        }
        if let Some(child) = module.children.get(name) {
            return Some(Target::Module(*child));
        }
        if module.items.contains(name) {
            return Some(Target::Item(at));
        }
        if let Some(import) = module
            .names
            .imports
            .iter()
            .find(|import| import.name.as_deref() == Some(name))
        {
            // `use bytes;` names another crate and not itself.
            return (import.path.segments[0] != name)
                .then(|| self.resolve(at, &import.path.segments, depth + 1))?;
        }
        if at == ROOT
            && let Some(defined_in) = self.exported_macros.get(name)
        {
            return Some(Target::Item(*defined_in));
        }
        let globs = module
            .names
            .imports
            .iter()
            .filter(|import| import.name.is_none());
        globs
            .filter_map(|glob| self.resolve(at, &glob.path.segments, depth + 1))
            .find_map(|target| match target {
                Target::Module(source) if source != at => self.lookup(source, name, depth + 1),
                _ => None,
            })
    }
}

/// A single name needs nothing that an import does not say already, except where the import is a re-export:
/// that alone is no use of the item.
fn counts(module: &Module, path: &WrittenPath) -> bool {
    let reexported = |name: &String| {
        module
            .names
            .imports
            .iter()
            .any(|import| import.reexport && import.name.as_ref() == Some(name))
    };
    match path.segments.as_slice() {
        [name] => reexported(name),
        _ => true,
    }
}
