//! Which schema's tables are meant.

/// A PostgreSQL schema. Checked once, so that it may be part of a statement's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Schema(&'static str);

impl Schema {
    /// A schema named by lower-case letters, digits and underscores; anything else is a programmer's
    /// mistake and panics at start-up (or while compiling, in a `const`).
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(
            !bytes.is_empty() && bytes.len() < 48,
            "a schema name has 1 to 47 characters"
        );
        let mut at = 0;
        while at < bytes.len() {
            assert!(
                matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'_'),
                "a schema name is made of a-z, 0-9 and _"
            );
            at += 1;
        }
        Self(name)
    }

    /// The bare name.
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// A table or function of the schema, quoted for use in a statement: `order` is a reserved word.
    pub fn table(self, table: &str) -> String {
        format!("\"{}\".{table}", self.0)
    }

    /// Names this schema in the text of a migration.
    pub(crate) fn fill(self, sql: &str) -> String {
        sql.replace("{schema}", &format!("\"{}\"", self.0))
            .replace("{name}", self.0)
    }
}
