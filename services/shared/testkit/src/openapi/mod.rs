//! An API compared with its OpenAPI document: answers ([`conforming`]) and access ([`AccessTable`]).

mod access;
mod conforming;
mod document;
mod schema;

pub use access::AccessTable;
pub use conforming::conforming;
