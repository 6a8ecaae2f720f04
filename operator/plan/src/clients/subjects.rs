//! What each workload may publish to the bus and receive from it.
//!
//! The names are those of NATS and of crate `bus`: one stream of the subjects `shop.<event type>`, one durable
//! consumer for each service, and receipts beside the stream.

use crds::Events;
use service_catalogue::Service::{self, Auth, Notification, Order, Payment, Product, User};

/// Every event of the platform, its producer and its consumers, as in crate `events`; a test compares them.
const EVENTS: [(&str, Service, &[Service]); 11] = [
    ("user.registered.v1", Auth, &[User, Notification]),
    (PRIVATE, Auth, &[Notification]),
    ("order.placed.v1", Order, &[Payment, Notification]),
    ("order.paid.v1", Order, &[Notification]),
    (
        "order.cancelled.v1",
        Order,
        &[Payment, Product, Notification],
    ),
    ("payment.authorised.v1", Payment, &[Order]),
    ("payment.captured.v1", Payment, &[Order]),
    ("payment.voided.v1", Payment, &[]),
    ("payment.refunded.v1", Payment, &[]),
    ("payment.failed.v1", Payment, &[Order]),
    ("stock.low.v1", Product, &[]),
];

/// Holds the codes that confirm addresses of others, so it is for the shop's own services alone.
const PRIVATE: &str = "registration.requested.v1";

/// Whether services of teams may not receive an event.
pub(crate) fn is_private(event: &str) -> bool {
    event == PRIVATE
}

/// Subjects that a workload may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subjects {
    pub(crate) publish: Vec<String>,
    pub(crate) subscribe: Vec<String>,
}

/// Where a workload receives answers. Nobody else may listen there.
pub(crate) fn inbox(workload: &str) -> String {
    format!("_INBOX.{workload}")
}

impl Subjects {
    /// Of a service of the shop: its own events, and the consumers of those, which its relay creates so that
    /// no event is lost before they have started.
    pub(crate) fn of_service(service: Service, workload: &str) -> Self {
        let mut subjects = Self::of_answers(workload);
        // A release before this one receives answers wherever its client library chooses.
        subjects.subscribe.push("_INBOX.>".to_owned());
        let produced = || {
            EVENTS
                .iter()
                .filter(|(_, producer, _)| *producer == service)
        };
        let consumed = || EVENTS.iter().filter(|(.., to)| to.contains(&service));
        subjects
            .publish
            .extend(["INFO", "STREAM.CREATE.SHOP", "STREAM.MSG.GET.SHOP"].map(api));
        let own = produced().map(|(event, ..)| format!("shop.{event}"));
        subjects.publish.extend(own);
        // Where it asks whether the bus takes what it publishes.
        subjects.publish.push(format!("shop.check.{service}"));
        let mut consumers: Vec<Service> =
            produced().flat_map(|(.., to)| to.iter().copied()).collect();
        if consumed().next().is_some() {
            consumers.push(service);
            subjects.reads(service.name());
        }
        consumers.sort_unstable();
        consumers.dedup();
        for consumer in consumers {
            for end in ["", ".>"] {
                let create = format!("CONSUMER.CREATE.SHOP.{consumer}{end}");
                subjects.publish.push(api(&create));
            }
            let info = format!("CONSUMER.INFO.SHOP.{consumer}");
            subjects.publish.push(api(&info));
        }
        let mut producers: Vec<Service> = consumed().map(|(_, producer, _)| *producer).collect();
        producers.sort_unstable();
        producers.dedup();
        let receipts = producers
            .iter()
            .map(|producer| format!("receipts.{producer}"));
        subjects.publish.extend(receipts);
        if produced().next().is_some() {
            subjects.subscribe.push(format!("receipts.{service}"));
        }
        subjects.in_order()
    }

    /// Of a team's workload: events below its own name, and what it subscribes to, while it is connected. It may
    /// make no consumer: whoever makes one chooses where the server delivers to, for example among the receipts
    /// of others.
    pub(crate) fn of_team(workload: &str, events: &Events) -> Self {
        let mut subjects = Self::of_answers(workload);
        let own = events.publishes.iter();
        subjects
            .publish
            .extend(own.map(|event| format!("shop.team.{workload}.{event}")));
        let received = events.subscribes.iter().filter(|event| !is_private(event));
        subjects
            .subscribe
            .extend(received.map(|event| format!("shop.{event}")));
        subjects.in_order()
    }

    fn of_answers(workload: &str) -> Self {
        Self {
            publish: vec![api("STREAM.INFO.SHOP")],
            subscribe: vec![format!("{}.>", inbox(workload))],
        }
    }

    /// Takes messages from a consumer, acknowledges them and deletes it.
    fn reads(&mut self, consumer: &str) {
        let next = format!("CONSUMER.MSG.NEXT.SHOP.{consumer}");
        let delete = format!("CONSUMER.DELETE.SHOP.{consumer}");
        let ack = format!("$JS.ACK.SHOP.{consumer}.>");
        self.publish.extend([api(&next), api(&delete), ack]);
    }

    /// The same list whatever the order in which a spec names events.
    fn in_order(mut self) -> Self {
        for list in [&mut self.publish, &mut self.subscribe] {
            list.sort_unstable();
            list.dedup();
        }
        self
    }
}

fn api(end: &str) -> String {
    format!("$JS.API.{end}")
}
