//! Stories that have the cluster to themselves: one kills the operator that all shops share, one counts
//! what it writes, and one puts a newer one in its place.

mod kill_nine;
mod quiet_at_rest;
mod update;
