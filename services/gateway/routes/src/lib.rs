//! Gateway API objects in, routing table and conditions out; pure.

pub mod api;
