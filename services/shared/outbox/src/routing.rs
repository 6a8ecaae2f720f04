//! Who publishes and who consumes what, from the table of events.

use bus::ConsumerSpec;
use events::EventType;

/// The event types that a service publishes.
pub(crate) fn published_by(producer: &str) -> impl Iterator<Item = EventType> {
    let types = EventType::ALL.iter().copied();
    types.filter(move |ty| ty.producer() == producer)
}

/// The consumers of what a service publishes.
pub(crate) fn consumers_of(producer: &str) -> Vec<ConsumerSpec> {
    let mut names: Vec<&'static str> = published_by(producer)
        .flat_map(EventType::consumers)
        .copied()
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(consumer).collect()
}

/// The durable consumer of a service. The same whoever creates it, so that a producer may create it
/// before the service first starts.
pub(crate) fn consumer(name: &'static str) -> ConsumerSpec {
    let types = EventType::ALL.iter();
    let consumed = types.filter(|ty| ty.consumers().contains(&name));
    ConsumerSpec {
        name,
        event_types: consumed.map(|ty| ty.as_str()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_knows_its_consumers_and_each_of_them_all_that_it_consumes() {
        let consumers = consumers_of("payment");
        let names: Vec<_> = consumers.iter().map(|consumer| consumer.name).collect();
        assert_eq!(names, ["order"]);
        assert!(consumers[0].event_types.contains(&"payment.captured.v1"));
    }
}
