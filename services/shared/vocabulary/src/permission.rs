//! What a caller may do with resources that are not its own.

use std::fmt;

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $wire:literal;)+) => {
        /// A right beyond one's own resources. Reading and changing what one owns needs no permission: the
        /// owner is compared instead.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Permission {
            $($(#[$doc])* $name,)+
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Stable name, shown to a caller that lacks it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire,)+ }
            }
        }
    };
}

permissions! {
    /// Read the profile of any customer.
    ReadAnyProfile = "profiles.read";
    /// Change the profile of any customer.
    EditAnyProfile = "profiles.edit";
    /// Create, change and import products.
    ManageCatalogue = "catalogue.manage";
    /// Set the stock of products.
    ManageStock = "stock.manage";
    /// Read and list the orders of any customer.
    ReadAnyOrder = "orders.read";
    /// Cancel the order of any customer.
    CancelAnyOrder = "orders.cancel";
    /// Read the payment of any order.
    ReadAnyPayment = "payments.read";
    /// List the messages that were sent to anybody.
    ReadNotifications = "notifications.read";
    /// Queue a message again that could not be delivered.
    ReplayNotifications = "notifications.replay";
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A bundle of permissions. Tokens carry role names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Runs the shop: every permission.
    Admin,
    /// Buys in the shop: no permission beyond what it owns.
    Customer,
}

impl Role {
    /// The role of a name; none for a name that this build does not know, which thus grants nothing.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "admin" => Some(Self::Admin),
            "customer" => Some(Self::Customer),
            _ => None,
        }
    }

    /// The name in tokens and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Customer => "customer",
        }
    }

    /// What the role permits.
    pub const fn permissions(self) -> &'static [Permission] {
        match self {
            Self::Admin => Permission::ALL,
            Self::Customer => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_by_the_name_that_tokens_carry() {
        for role in [Role::Admin, Role::Customer] {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
        }
        for unknown in ["", "Admin", "admin ", "root"] {
            assert_eq!(Role::from_name(unknown), None);
        }
    }

    #[test]
    fn names_of_permissions_are_unique() {
        let mut names: Vec<_> = Permission::ALL.iter().map(|p| p.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Permission::ALL.len());
    }
}
