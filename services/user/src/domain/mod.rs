//! Pure decisions: what a profile may say, and who may see it.

pub mod profile;
