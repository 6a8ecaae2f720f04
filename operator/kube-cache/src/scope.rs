use crate::key::Key;

/// What one watch covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Every namespace; also objects without one.
    All,
    /// One namespace.
    Namespace(String),
    /// One object.
    Object(Key),
}

impl Scope {
    /// The scope that a configured namespace stands for; an empty one stands for all.
    pub fn of_namespace(namespace: &str) -> Self {
        if namespace.is_empty() {
            Self::All
        } else {
            Self::Namespace(namespace.to_owned())
        }
    }

    /// Whether an object lies in this scope.
    pub fn contains(&self, key: &Key) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(namespace) => *namespace == key.namespace,
            Self::Object(object) => object == key,
        }
    }
}
