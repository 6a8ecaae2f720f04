//! What a status of a shop says of its services and its mail server, as they were measured, and of updates.

use operator_plan::{Objects, Outcome, Platform, conditions::find, storefront};
use serde_json::{Value, json};

use crate::fixtures::{platform, shop};
use crate::releases::run_by;
use crate::status::{condition, look, of_shop, well};

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

fn waiting(message: &str) -> Value {
    let mut ready = condition("Ready", "False");
    ready["reason"] = "BindingNotReady".into();
    ready["message"] = message.into();
    ready
}

/// The status of a shop of which this is said by each of its services.
fn told(said: impl Fn(&str) -> Value) -> crds::StorefrontStatus {
    let shop = shop("storefront.yaml");
    let objects = look(&shop, |item| match item.key.kind.as_str() {
        "ServiceDeployment" => said(&item.key.name),
        _ => well(item),
    });
    of_shop(&shop, &objects, NOW)
}

fn message(status: &crds::StorefrontStatus, type_: &str) -> String {
    let found = find(&status.conditions, type_);
    found.map(|it| it.message.clone()).unwrap_or_default()
}

#[test]
fn services_that_serve_and_wait_for_a_database_are_not_said_to_be_down() {
    let said = |available: &str| {
        told(|name| {
            let of_auth = waiting("DatabaseBinding demo-auth is not ready: the server is silent");
            match name {
                "demo-auth" => {
                    json!({ "conditions": [of_auth, condition("Available", available)] })
                }
                _ => {
                    json!({ "conditions": [condition("Ready", "True"), condition("Available", "True")] })
                }
            }
        })
    };
    let of_auth = "ServiceDeployment demo-auth is not ready since 1970-01-01T00:00:00Z: DatabaseBinding demo-auth is \
                   not ready: the server is silent";
    let status = said("True");
    let text = message(&status, "ServicesReady");
    assert_eq!(
        text,
        format!("6 of 7 services are ready, and the pods of 7 serve; {of_auth}")
    );
    assert_eq!(status.services.expect("counted").summary, "6/7");
    let text = message(&said("False"), "ServicesReady");
    assert_eq!(text, format!("6 of 7 services are ready; {of_auth}"));
}

#[test]
fn a_mail_server_that_has_not_answered_for_the_first_time_is_not_known_to_work() {
    let with = |failing: Value| {
        told(|_| {
            let conditions = [condition("Ready", "True"), condition("Available", "True")];
            json!({ "conditions": conditions, "failing": failing })
        })
    };
    let brief = |status: &crds::StorefrontStatus, type_: &str| {
        let found = find(&status.conditions, type_).expect(type_);
        (found.status.clone(), found.reason.clone())
    };
    let status = with(json!([{ "name": "mail", "message": "no answer yet" }]));
    for type_ in ["MailReady", "Ready"] {
        assert_eq!(
            brief(&status, type_),
            ("Unknown".into(), "NoAnswerYet".into())
        );
    }
    let text = message(&status, "MailReady");
    let end = "for the first time, and has no answer yet";
    assert!(text.ends_with(end), "{text}");

    let status = with(json!([{ "name": "mail", "message": "the mail server timed out" }]));
    assert_eq!(
        brief(&status, "MailReady"),
        ("False".into(), "MailNotReady".into())
    );
    assert_eq!(brief(&with(json!([])), "MailReady").0, "True");
}

#[test]
fn a_server_of_which_a_service_has_no_answer_yet_is_neither_well_nor_broken() {
    let with = |of_order: &str| {
        told(|name| {
            let why = match name {
                "demo-auth" => "no answer yet",
                "demo-order" => of_order,
                _ => return json!({ "conditions": [condition("Ready", "True")] }),
            };
            let failing = [json!({ "name": "bus", "message": why })];
            json!({ "conditions": [condition("Ready", "True")], "failing": failing })
        })
    };
    let brief = |status: &crds::StorefrontStatus| {
        let found = find(&status.conditions, "QueueReady").expect("QueueReady");
        (found.status.clone(), found.message.clone())
    };
    let status = with("no answer yet");
    let text = "ServiceDeployment demo-auth has asked it, and has no answer yet";
    assert_eq!(brief(&status), ("Unknown".into(), text.into()));
    assert_eq!(status.blocked_by, None);
    // Who knows more is believed.
    let (known, text) = brief(&with("there is no connection to nats"));
    assert_eq!(known, "False");
    assert!(
        text.contains("demo-order cannot use it: there is no connection to nats"),
        "{text}"
    );
}

#[test]
fn an_update_is_shown_whether_anything_may_be_applied_or_not() {
    let shop = run_by(shop("storefront.yaml"), &platform());
    let newer = Platform {
        version: "99.0.0".into(),
        tag: "99.0.0".into(),
        ..platform()
    };
    let (nothing, why) = (
        Objects::new(),
        operator_plan::Invalid::new("Test", "it is not valid"),
    );
    let on = operator_plan::Waiting::new("Test", "for a Secret");
    for outcome in [
        Outcome::Paused(&nothing),
        Outcome::Invalid(&why, &nothing),
        Outcome::Waiting(&on, &nothing),
    ] {
        let mut shop = shop.clone();
        let status = storefront::status(&shop, &outcome, &newer, NOW);
        assert_eq!(status.available_version.as_deref(), Some("99.0.0"));
        let text = message(&status, "UpdateAvailable");
        assert!(text.starts_with("release 99.0.0 would change"), "{text}");
        assert_eq!(
            status.version,
            shop.status.as_ref().and_then(|it| it.version.clone())
        );
        // The operator of before is back.
        shop.status = Some(status);
        let status = storefront::status(&shop, &outcome, &platform(), NOW);
        assert_eq!(status.available_version, None);
        assert_eq!(find(&status.conditions, "UpdateAvailable"), None);
    }
}
