//! The authenticated caller of a request, and what it may do.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use chassis::Problem;
use http::request::Parts;
use tokens::Verifier;
use vocabulary::{Permission, Role, UserId};

/// A caller with a verified bearer token. Requests without a valid token are refused with 401.
///
/// The state of the router provides the verifier: `impl FromRef<AppState> for Arc<Verifier>`.
#[derive(Debug, Clone)]
pub struct Caller {
    id: UserId,
    permissions: Vec<Permission>,
}

impl Caller {
    fn new(id: UserId, roles: &[String]) -> Self {
        let roles = roles.iter().filter_map(|name| Role::from_name(name));
        Self {
            id,
            permissions: roles.flat_map(Role::permissions).copied().collect(),
        }
    }

    /// The account of the caller.
    pub fn id(&self) -> UserId {
        self.id
    }

    /// True if the caller has the permission.
    pub fn has(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// Refuses a caller without the permission: 403.
    pub fn require(&self, permission: Permission) -> Result<(), Problem> {
        if self.has(permission) {
            Ok(())
        } else {
            Err(Problem::forbidden().detail(format!("Permission {permission} is required")))
        }
    }

    /// Refuses a caller that neither owns the resource nor has the permission: 404, so that the answer
    /// does not reveal whether the resource exists.
    pub fn require_owner_or(&self, owner: UserId, permission: Permission) -> Result<(), Problem> {
        if self.id == owner || self.has(permission) {
            Ok(())
        } else {
            Err(Problem::not_found())
        }
    }

    /// The owner to which a query must be limited; none for a caller that has the permission.
    pub fn owner_unless(&self, permission: Permission) -> Option<UserId> {
        (!self.has(permission)).then_some(self.id)
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = tokens::bearer(&parts.headers)
            .ok()
            .flatten()
            .ok_or_else(Problem::unauthenticated)?;
        let claims = Arc::<Verifier>::from_ref(state).verify(token).await?;
        Ok(Self::new(UserId::from_uuid(claims.sub), &claims.roles))
    }
}

/// A permission that a whole endpoint is for.
pub trait EndpointPermission {
    /// The permission.
    const PERMISSION: Permission;
}

/// A caller with the permission of the endpoint. Others are refused with 403 before the body is read: nothing
/// that they send is parsed, and no answer describes what would be valid.
#[derive(Debug, Clone, Copy)]
pub struct Permitted<P>(PhantomData<P>);

impl<S, P> FromRequestParts<S> for Permitted<P>
where
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
    P: EndpointPermission,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.require(P::PERMISSION)?;
        Ok(Self(PhantomData))
    }
}

macro_rules! endpoint_permissions {
    ($($name:ident)+) => {$(
        #[doc = concat!("[`Permission::", stringify!($name), "`] as a type.")]
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl EndpointPermission for $name {
            const PERMISSION: Permission = Permission::$name;
        }
    )+};
}

endpoint_permissions! { ManageCatalogue ManageStock ReadNotifications ReplayNotifications }

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const OWNER: UserId = UserId::from_uuid(Uuid::from_u128(1));
    const OTHER: UserId = UserId::from_uuid(Uuid::from_u128(2));

    fn caller(roles: &[&str]) -> Caller {
        let roles: Vec<String> = roles.iter().map(|&role| role.to_owned()).collect();
        Caller::new(OWNER, &roles)
    }

    #[test]
    fn an_administrator_has_every_permission_and_a_customer_none() {
        for permission in Permission::ALL {
            assert!(caller(&["customer", "admin"]).require(*permission).is_ok());
            for roles in [&["customer"][..], &[], &["Admin", "root"]] {
                let refused = caller(roles).require(*permission).unwrap_err();
                assert_eq!(refused.status(), 403);
            }
        }
    }

    #[test]
    fn what_somebody_else_owns_does_not_exist_for_a_customer() {
        let permission = Permission::ReadAnyProfile;
        let customer = caller(&["customer"]);
        assert!(customer.require_owner_or(OWNER, permission).is_ok());
        let refused = customer.require_owner_or(OTHER, permission).unwrap_err();
        assert_eq!(refused.status(), 404);
        assert!(
            caller(&["admin"])
                .require_owner_or(OTHER, permission)
                .is_ok()
        );
    }

    #[test]
    fn a_query_is_limited_to_the_caller_unless_it_may_see_everything() {
        let permission = Permission::ReadAnyOrder;
        assert_eq!(caller(&["customer"]).owner_unless(permission), Some(OWNER));
        assert_eq!(caller(&["admin"]).owner_unless(permission), None);
    }
}
