//! A PostgreSQL that the user runs; a Secret says where.

use crds::{DatabaseBinding, StorefrontSpec};
use service_catalogue::Service;

use super::{
    embedded::Embedded,
    external, policy,
    role::Role,
    server::{Reference, Server},
};
use crate::{
    Applied, Invalid, Objects, Planned, database_binding::unusable, own_secret::OwnSecret,
    readiness::Part, storefront::Valid,
};

/// PostgreSQL's own port, where the Secret's cannot be read.
const DEFAULT_PORT: i32 = 5432;

/// A PostgreSQL that the user runs.
pub(super) struct ExternalPostgres;

impl Server for ExternalPostgres {
    fn embedded(&self) -> Option<&'static Embedded> {
        None
    }

    fn check(&self, _: &StorefrontSpec) -> Result<(), Invalid> {
        Ok(())
    }

    fn reference<'a>(&self, spec: &'a StorefrontSpec) -> Option<Reference<'a>> {
        let external = spec.database.external.as_ref()?;
        Some(Reference {
            field: "spec.database.external.adminSecretRef",
            name: &external.admin_secret_ref.name,
            // Without a port it is the usual one.
            keys: &["host", "username", "password"],
            check: |_| Ok(()),
        })
    }

    fn secrets(&self) -> &'static [OwnSecret] {
        &[]
    }

    fn plan_credentials(&self, _: &Valid, _: &mut Objects<Planned>) {}

    // Each DatabaseBinding makes a Secret of its own out of the administrator's.
    fn plan_configuration(&self, _: &Valid, _: &mut Objects<Planned>) {}

    fn plan_policies(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let given = external::given(valid, self.reference(&valid.storefront.spec));
        let port = given.map(|data| {
            let text = data
                .get("port")
                .and_then(|port| std::str::from_utf8(port).ok());
            let port = text.and_then(|text| text.trim().parse().ok());
            port.unwrap_or(DEFAULT_PORT)
        });
        policy::plan_external(valid, objects, ("database", Role::Database), port);
    }

    fn plan_workload(&self, _: &Valid, _: &mut Objects<Planned>) {}

    fn readiness(
        &self,
        spec: &StorefrontSpec,
        shop: &str,
        valid: Option<&Valid>,
        objects: &Objects<Applied>,
    ) -> Part {
        let secret = external::readiness(self.reference(spec), valid);
        // The operator connects before any service does.
        let mut services = Service::ALL.into_iter().filter(|it| it.has_database());
        let unusable = services.find_map(|service| {
            let binding = objects.get::<DatabaseBinding>(&format!("{shop}-{service}"))?;
            unusable(&binding)
        });
        unusable.filter(|_| secret.ready).unwrap_or(secret)
    }
}
