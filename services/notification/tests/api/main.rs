//! Tests of the API, the events and the mail on a real PostgreSQL, a real NATS and a real mail server.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod app;
mod events;
mod list_notifications;
mod mailpit;
mod openapi;
mod replay_notification;
mod sender;
