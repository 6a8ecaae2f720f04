//! The mark that says whose a role or a database is: its comment. Read before any adopt or drop.

use std::fmt;

/// First word of every mark.
const PREFIX: &str = "storefront.dev:";

/// Whether somebody uses what is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// A binding uses it.
    Bound,
    /// Its binding was deleted with policy Retain; one of the same namespace and name may adopt it.
    Retained,
}

/// A binding's claim on a role or a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Namespace of the binding.
    pub namespace: String,
    /// Name of the binding.
    pub name: String,
    /// UID of the binding.
    pub uid: String,
    /// Whether the binding still exists.
    pub hold: Hold,
}

impl Mark {
    /// Reads a comment; `None` when it is not a mark.
    pub fn parse(comment: &str) -> Option<Self> {
        let mut words = comment.strip_prefix(PREFIX)?.split_whitespace();
        let (namespace, name) = words.next()?.strip_prefix("binding=")?.split_once('/')?;
        let uid = words.next()?.strip_prefix("uid=")?;
        let hold = match words.next()?.strip_prefix("hold=")? {
            "bound" => Hold::Bound,
            "retained" => Hold::Retained,
            _ => return None,
        };
        Some(Self {
            namespace: namespace.into(),
            name: name.into(),
            uid: uid.into(),
            hold,
        })
    }

    /// The same claim after its binding is gone.
    #[must_use]
    pub fn retained(&self) -> Self {
        Self {
            hold: Hold::Retained,
            ..self.clone()
        }
    }

    /// Whether both speak of one namespace and name.
    pub fn same_object(&self, other: &Self) -> bool {
        self.namespace == other.namespace && self.name == other.name
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hold = match self.hold {
            Hold::Bound => "bound",
            Hold::Retained => "retained",
        };
        let Self {
            namespace,
            name,
            uid,
            ..
        } = self;
        write!(
            out,
            "{PREFIX} binding={namespace}/{name} uid={uid} hold={hold}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_as_it_was_written() {
        let mark = Mark {
            namespace: "shops".into(),
            name: "demo-auth".into(),
            uid: "3f0c".into(),
            hold: Hold::Bound,
        };
        assert_eq!(Mark::parse(&mark.to_string()), Some(mark.clone()));
        assert_eq!(
            Mark::parse(&mark.retained().to_string()),
            Some(mark.retained())
        );
    }

    #[test]
    fn a_comment_of_somebody_else_is_no_mark() {
        for comment in [
            "",
            "sales",
            "storefront.dev:",
            "storefront.dev: binding=a uid=b hold=bound",
        ] {
            assert_eq!(Mark::parse(comment), None, "{comment}");
        }
    }
}
