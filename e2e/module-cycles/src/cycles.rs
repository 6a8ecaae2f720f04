//! Cycles of a graph of files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::Path;

use crate::resolve::Dependency;

/// The dependencies of a closed walk, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle(pub Vec<Dependency>);

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", self.0[0].from.display())?;
        for edge in &self.0 {
            write!(f, " -> {}", edge.to.display())?;
        }
        for edge in &self.0 {
            write!(
                f,
                "\n    {}:{}: {}",
                edge.from.display(),
                edge.line,
                edge.path
            )?;
        }
        Ok(())
    }
}

/// Shortest cycles first, and none that shares a dependency with one before it: there may be exponentially many,
/// and a reader who cuts these finds the rest by running the check again. Empty only when there is no cycle.
#[must_use]
pub fn cycles(dependencies: &[Dependency]) -> Vec<Cycle> {
    let mut graph: BTreeMap<&Path, Vec<&Dependency>> = BTreeMap::new();
    for edge in dependencies {
        graph.entry(&edge.from).or_default().push(edge);
    }
    let through = |edge: &'_ Dependency| {
        let back = shortest(&graph, &edge.to, &edge.from)?;
        Some(Cycle(std::iter::once(edge).chain(back).cloned().collect()))
    };
    let mut all: Vec<_> = dependencies.iter().filter_map(through).collect();
    all.sort_by_key(|cycle| cycle.0.len());
    let mut shown = BTreeSet::new();
    all.retain(|cycle| {
        let new = cycle.0.iter().all(|edge| !shown.contains(edge));
        if new {
            shown.extend(cycle.0.iter().cloned());
        }
        new
    });
    all
}
/// The edges of a shortest path between two files.
fn shortest<'a>(
    graph: &BTreeMap<&Path, Vec<&'a Dependency>>,
    from: &Path,
    to: &Path,
) -> Option<Vec<&'a Dependency>> {
    let mut came_by: BTreeMap<&Path, &Dependency> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            let mut path = Vec::new();
            let mut at = at;
            while at != from {
                let edge = came_by[at];
                path.push(edge);
                at = &edge.from;
            }
            path.reverse();
            return Some(path);
        }
        for edge in graph.get(at).into_iter().flatten() {
            let next = edge.to.as_path();
            if next != from && !came_by.contains_key(next) {
                came_by.insert(next, edge);
                queue.push_back(next);
            }
        }
    }
    None
}
