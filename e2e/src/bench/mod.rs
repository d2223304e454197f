//! What issuance costs: N certificates from applied to all Ready, on a real control plane, with the release binaries.
//!
//! ```text
//! run        which measurements, in which order                                run
//! issuance   N certificates, and what is done to N that exist                  issuance, fleet
//! floor      what the API server alone needs for the same writes               floor
//! fake       an API server in memory, for sizes that the real one cannot take  fake
//! usage, writes   from /proc and from the audit log                            usage, writes
//! report     goals, Markdown, JSON, plot, history                              figures, goals, report, plot, history
//! ```
//! Nothing is estimated: what a run did not measure does not stand in its report.

mod fake;
mod figures;
mod fleet;
mod floor;
mod goals;
mod history;
mod issuance;
mod plot;
mod report;
mod run;
mod usage;
mod writes;

pub use run::{Options, run};
