//! What the code of one module names: imports and paths.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, UseTree, Visibility};

/// A path as it is written, and where.
#[derive(Clone, Debug)]
pub(crate) struct WrittenPath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// One name that a `use` brings in; without a name it is a glob.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) name: Option<String>,
    pub(crate) path: WrittenPath,
    pub(crate) reexport: bool,
}

/// The imports and paths of one module, without those of the modules inside it.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) imports: Vec<Import>,
    pub(crate) paths: Vec<WrittenPath>,
}

impl Names {
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut names = Self::default();
        for item in items {
            names.visit_item(item);
        }
        names
    }

    /// Adds what `tree`, found after the segments `before`, imports.
    fn import(&mut self, tree: &UseTree, before: &[String], reexport: bool) {
        let with = |name: &syn::Ident| {
            // `use store::{self}` imports `store`.
            let name = (name != "self").then(|| name.to_string());
            before.iter().cloned().chain(name).collect::<Vec<_>>()
        };
        let (name, segments) = match tree {
            UseTree::Path(path) => return self.import(&path.tree, &with(&path.ident), reexport),
            UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.import(tree, before, reexport));
            }
            UseTree::Glob(_) => (None, before.to_vec()),
            UseTree::Name(name) => (with(&name.ident).pop(), with(&name.ident)),
            UseTree::Rename(renamed) => (Some(renamed.rename.to_string()), with(&renamed.ident)),
        };
        let line = tree.span().start().line;
        self.imports.push(Import {
            name,
            path: WrittenPath { segments, line },
            reexport,
        });
    }

    /// Macro arguments are not parsed, so a path is taken to be what looks like one: `a::b::c`.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Option<WrittenPath> = None;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct)
                    if punct.as_char() == ':'
                        && (colons == 1 || punct.spacing() == Spacing::Joint) =>
                {
                    colons += 1;
                }
                TokenTree::Ident(ident) => {
                    match path.as_mut() {
                        Some(path) if colons == 2 => path.segments.push(ident.to_string()),
                        _ => {
                            let line = ident.span().start().line;
                            let begun = WrittenPath {
                                segments: vec![ident.to_string()],
                                line,
                            };
                            self.paths.extend(path.replace(begun));
                        }
                    }
                    colons = 0;
                }
                other => {
                    self.paths.extend(path.take());
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.scan(group.stream());
                    }
                }
            }
        }
        self.paths.extend(path);
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !only_in_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    // Modules inside are modules of their own.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if path.leading_colon.is_none() {
            self.paths.push(WrittenPath {
                segments,
                line: path.span().start().line,
            });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        self.visit_path(&invocation.path);
        self.scan(invocation.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone());
        }
    }
}

/// Whether the item above which these stand is compiled for tests only.
pub(crate) fn only_in_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        meta => meta.path().is_ident("test"),
    })
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
