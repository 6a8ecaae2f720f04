//! Stories that have the cluster to themselves: one kills the operator that all shops share, the other
//! counts what it writes.

mod kill_nine;
mod quiet_at_rest;
