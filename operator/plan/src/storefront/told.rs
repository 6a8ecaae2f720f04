//! What the services of a shop report on its servers. They hold the connections, so they know first.

use crds::{Condition, ServiceDeployment, Storefront};
use service_catalogue::Service;

use crate::{
    Applied, Objects,
    backing::role::Role,
    conditions::{self, Aspect},
    probe::NO_ANSWER_YET,
    readiness::Part,
};

/// Reason of a condition about a server that has been asked, and has not answered yet.
const UNANSWERED: &str = "NoAnswerYet";

/// The name by which services report on a server.
const fn dependency(role: Role) -> &'static str {
    match role {
        Role::Database => "database",
        Role::Bus => "bus",
        Role::Cache => "cache",
    }
}

/// What the services report on a dependency, with their names.
fn reported<'a>(
    objects: &'a Objects<Applied>,
    shop: &'a str,
    dependency: &'a str,
) -> impl Iterator<Item = (String, String)> + 'a {
    Service::ALL.into_iter().filter_map(move |service| {
        let name = format!("{shop}-{service}");
        let status = objects.get::<ServiceDeployment>(&name)?.status?;
        let mut reported = status.failing.into_iter();
        let found = reported.find(|reported| reported.name == dependency)?;
        Some((name, found.message))
    })
}

/// The first service that cannot use a server, and why.
pub(super) fn failing(
    objects: &Objects<Applied>,
    shop: &str,
    role: Role,
) -> Option<(String, String)> {
    reported(objects, shop, dependency(role)).find(|(_, why)| why != NO_ANSWER_YET)
}

/// That a service does not know yet whether it can use a server.
pub(super) fn unanswered(objects: &Objects<Applied>, shop: &str, role: Role) -> Option<Aspect> {
    let mut reported = reported(objects, shop, dependency(role));
    let (service, _) = reported.find(|(_, why)| why == NO_ANSWER_YET)?;
    let text = format!("ServiceDeployment {service} has asked it, and has no answer yet");
    Some(Aspect::unknown(role.condition(), UNANSWERED, text))
}

/// Whether mails go out. Unknown until notification serves, and has an answer of the mail server.
pub(super) fn mail(storefront: &Storefront, objects: &Objects<Applied>) -> Option<Aspect> {
    let shop = storefront.metadata.name.as_deref().unwrap_or_default();
    let name = format!("{shop}-{}", Service::Notification);
    let service = objects.get::<ServiceDeployment>(&name)?;
    let list = service.status.map(|status| status.conditions);
    conditions::find(&list.unwrap_or_default(), "Available").filter(|c| c.is_true())?;
    let host = &storefront.spec.notifications.email.smtp.host;
    Some(match reported(objects, shop, "mail").next() {
        None => Aspect::yes(
            "MailReady",
            "Ready",
            format!("mails are sent through {host}"),
        ),
        Some((_, why)) if why == NO_ANSWER_YET => Aspect::unknown(
            "MailReady",
            UNANSWERED,
            format!(
                "ServiceDeployment {name} connects to {host} for the first time, and has no answer yet"
            ),
        ),
        Some((_, why)) => Aspect::no(
            "MailReady",
            "MailNotReady",
            format!(
                "mails cannot be sent through {host}: {why}; check spec.notifications.email.smtp"
            ),
        ),
    })
}

/// That services serve which are not ready, where there are any: of a service that waits for its database or for other
/// settings the pods go on as they are.
pub(super) fn serving(services: &[Part], ready: usize, objects: &Objects<Applied>) -> String {
    let serves = |part: &&Part| {
        let service = objects.get::<ServiceDeployment>(&part.name);
        let list = service.and_then(|service| Some(service.status?.conditions));
        let list = list.unwrap_or_default();
        part.ready || conditions::find(&list, "Available").is_some_and(Condition::is_true)
    };
    let serving = services.iter().filter(serves).count();
    if serving == ready {
        String::new()
    } else {
        format!(", and the pods of {serving} serve")
    }
}
