//! Requests and limits of containers: the platform's defaults, and what users set over them.
//!
//! ## Why a value that nobody wrote gives way
//! A limit below the default request would be refused by the API server in words about a request that the user never
//! wrote. Of a request and a limit that contradict, the one from the stronger side holds (a part's over the
//! shop's, the shop's over the platform's), and the other one is moved to it. Both from one side are refused when
//! they are written.

use std::collections::BTreeMap;

use crds::{ResourceList, Resources};
use k8s_openapi::{
    api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity,
};

use crate::size::nano;

/// What can be requested and limited.
const NAMES: [&str; 2] = ["cpu", "memory"];

/// Requests and a memory limit. There is no CPU limit, because throttling delays requests and probes of a
/// process that could run.
pub(crate) fn resources(cpu: &str, memory: &str, memory_limit: &str) -> ResourceRequirements {
    let quantity = |text: &str| Quantity(text.to_owned());
    ResourceRequirements {
        requests: Some(BTreeMap::from([
            ("cpu".to_owned(), quantity(cpu)),
            ("memory".to_owned(), quantity(memory)),
        ])),
        limits: Some(BTreeMap::from([(
            "memory".to_owned(),
            quantity(memory_limit),
        )])),
        claims: None,
    }
}

/// Request and limit of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pair {
    request: Option<String>,
    limit: Option<String>,
}

impl Pair {
    /// What a user wrote.
    fn of(wanted: &Resources, name: &str) -> Self {
        let value = |list: Option<&ResourceList>| {
            let list = list?;
            match name {
                "cpu" => list.cpu.clone(),
                _ => list.memory.clone(),
            }
        };
        Self {
            request: value(wanted.requests.as_ref()),
            limit: value(wanted.limits.as_ref()),
        }
    }

    /// What a container has.
    fn in_container(base: &ResourceRequirements, name: &str) -> Self {
        let value = |list: Option<&BTreeMap<String, Quantity>>| {
            list.and_then(|list| list.get(name)).map(|it| it.0.clone())
        };
        Self {
            request: value(base.requests.as_ref()),
            limit: value(base.limits.as_ref()),
        }
    }

    /// This over `weaker`.
    fn over(self, weaker: Self) -> Self {
        let (has_request, has_limit) = (self.request.is_some(), self.limit.is_some());
        let mut pair = Self {
            request: self.request.or(weaker.request),
            limit: self.limit.or(weaker.limit),
        };
        if !pair.contradicts() {
            return pair;
        }
        match (has_request, has_limit) {
            (true, false) => pair.limit.clone_from(&pair.request),
            (false, true) => pair.request.clone_from(&pair.limit),
            // Of one side: the API server refuses it, in its own words.
            (true, true) | (false, false) => {}
        }
        pair
    }

    fn contradicts(&self) -> bool {
        let (Some(request), Some(limit)) = (&self.request, &self.limit) else {
            return false;
        };
        matches!((nano(request), nano(limit)), (Some(request), Some(limit)) if request > limit)
    }
}

/// The user's values over those of a container.
pub(crate) fn with_overrides(
    mut base: ResourceRequirements,
    wanted: Option<&Resources>,
) -> ResourceRequirements {
    let Some(wanted) = wanted else {
        return base;
    };
    let set = |into: &mut Option<BTreeMap<String, Quantity>>, name: &str, value: Option<String>| {
        if let Some(value) = value {
            let map = into.get_or_insert_default();
            map.insert(name.to_owned(), Quantity(value));
        }
    };
    for name in NAMES {
        let pair = Pair::of(wanted, name).over(Pair::in_container(&base, name));
        set(&mut base.requests, name, pair.request);
        set(&mut base.limits, name, pair.limit);
    }
    base
}

/// A part's values over those of its shop.
pub(crate) fn over(part: Option<&Resources>, shop: Option<&Resources>) -> Option<Resources> {
    let (Some(part), Some(shop)) = (part, shop) else {
        return part.or(shop).cloned();
    };
    let [cpu, memory] = NAMES.map(|name| Pair::of(part, name).over(Pair::of(shop, name)));
    let list = |cpu: Option<String>, memory: Option<String>| {
        let is_empty = cpu.is_none() && memory.is_none();
        (!is_empty).then_some(ResourceList { cpu, memory })
    };
    Some(Resources {
        requests: list(cpu.request, memory.request),
        limits: list(cpu.limit, memory.limit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(request: &str, limit: &str) -> Pair {
        let value = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Pair {
            request: value(request),
            limit: value(limit),
        }
    }

    #[test]
    fn what_is_written_holds_and_a_default_that_contradicts_is_moved_to_it() {
        for (written, before, after) in [
            (pair("", ""), pair("48Mi", "256Mi"), pair("48Mi", "256Mi")),
            (
                pair("", "32Mi"),
                pair("48Mi", "256Mi"),
                pair("32Mi", "32Mi"),
            ),
            (pair("1Gi", ""), pair("48Mi", "256Mi"), pair("1Gi", "1Gi")),
            (
                pair("64Mi", "128Mi"),
                pair("48Mi", "256Mi"),
                pair("64Mi", "128Mi"),
            ),
            (pair("", "500m"), pair("25m", ""), pair("25m", "500m")),
            (pair("", "0.01"), pair("25m", ""), pair("0.01", "0.01")),
            (pair("2", "1"), pair("25m", ""), pair("2", "1")),
        ] {
            assert_eq!(written.clone().over(before), after, "{written:?}");
        }
    }

    #[test]
    fn a_part_overrides_its_shop_field_by_field() {
        let list = |cpu: Option<&str>, memory: Option<&str>| {
            Some(ResourceList {
                cpu: cpu.map(Into::into),
                memory: memory.map(Into::into),
            })
        };
        let shop = Resources {
            requests: list(Some("100m"), Some("1Gi")),
            limits: list(Some("1"), None),
        };
        let part = Resources {
            requests: list(Some("200m"), None),
            limits: list(None, Some("512Mi")),
        };
        let both = over(Some(&part), Some(&shop)).expect("some");
        assert_eq!(both.requests, list(Some("200m"), Some("512Mi")));
        assert_eq!(both.limits, list(Some("1"), Some("512Mi")));
        assert_eq!(over(None, Some(&shop)).as_ref(), Some(&shop));
        assert_eq!(over(None, None), None);
    }
}
