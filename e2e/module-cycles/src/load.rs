//! The module tree of a crate, read from its root file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta};

use crate::paths::{Names, attributes, only_in_tests};

pub(crate) type ModuleId = usize;
pub(crate) const ROOT: ModuleId = 0;

/// One module; those that stand inside a file have the file of the module around them.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    pub(crate) parent: Option<ModuleId>,
    pub(crate) children: BTreeMap<String, ModuleId>,
    pub(crate) items: BTreeSet<String>,
    pub(crate) names: Names,
}

/// The modules of one crate, its root first.
#[derive(Debug, Default)]
pub struct Crate {
    pub(crate) modules: Vec<Module>,
    /// `#[macro_export]` puts a macro into the root, wherever it stands.
    pub(crate) exported_macros: BTreeMap<String, ModuleId>,
}

/// Where the files of a module's children are looked for.
struct Place {
    file: PathBuf,
    folder: PathBuf,
}

impl Crate {
    /// Reads the crate whose root is `file`.
    pub fn load(file: &Path) -> anyhow::Result<Self> {
        let mut modules = Self::default();
        let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
        let place = Place {
            file: file.to_path_buf(),
            folder,
        };
        modules.add(None, &parse(file)?, &place)?;
        Ok(modules)
    }

    fn add(
        &mut self,
        parent: Option<ModuleId>,
        items: &[Item],
        place: &Place,
    ) -> anyhow::Result<ModuleId> {
        let id = self.modules.len();
        self.modules.push(Module {
            file: place.file.clone(),
            parent,
            children: BTreeMap::new(),
            items: items.iter().filter_map(name_of).collect(),
            names: Names::of(items),
        });
        for item in items {
            match item {
                Item::Mod(module) if !only_in_tests(&module.attrs) => {
                    let name = module.ident.to_string();
                    let child = self.add_child(id, module, place)?;
                    self.modules[id].children.insert(name, child);
                }
                Item::Macro(rules) if has(&rules.attrs, "macro_export") => {
                    self.exported_macros
                        .extend(rules.ident.as_ref().map(|name| (name.to_string(), id)));
                }
                _ => {}
            }
        }
        Ok(id)
    }

    fn add_child(
        &mut self,
        parent: ModuleId,
        module: &syn::ItemMod,
        place: &Place,
    ) -> anyhow::Result<ModuleId> {
        let name = module.ident.to_string();
        let folder = place.folder.join(&name);
        if let Some((_, items)) = &module.content {
            return self.add(
                Some(parent),
                items,
                &Place {
                    file: place.file.clone(),
                    folder,
                },
            );
        }
        let file = match path_attribute(&module.attrs) {
            Some(path) => place.file.parent().unwrap_or(Path::new("")).join(path),
            None => [
                place.folder.join(format!("{name}.rs")),
                folder.join("mod.rs"),
            ]
            .into_iter()
            .find(|file| file.is_file())
            .with_context(|| format!("{} has no file for mod {name}", place.file.display()))?,
        };
        self.add(Some(parent), &parse(&file)?, &Place { file, folder })
    }
}

fn parse(file: &Path) -> anyhow::Result<Vec<Item>> {
    let source =
        fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    let parsed =
        syn::parse_file(&source).with_context(|| format!("failed to parse {}", file.display()))?;
    Ok(parsed.items)
}

fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident(name))
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(path),
                    ..
                }) => Some(path.value()),
                _ => None,
            },
            _ => None,
        })
}

fn name_of(item: &Item) -> Option<String> {
    if only_in_tests(attributes(item)) {
        return None;
    }
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
