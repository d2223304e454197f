//! `kubectl keywright status`: what an object wants, what it is, and what to do next.
//!
//! ```text
//! observe (reads only) -> report (pure) -> text or JSON
//! ```
//! What may not be read is said to be so; only the object itself has to be readable.

mod certificate;
mod events;
mod issuer;
pub(crate) mod list;
mod parts;
pub(crate) mod secret;

use crate::Machine;
use crate::cli::{Global, Kind, Status};
use crate::connect::connect;
use crate::exit::{Failure, NOT_AS_WANTED};
use keywright_crds::{ClusterIssuer, Issuer};
use kube::Api;
use std::process::ExitCode;

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &Status, machine: &Machine) -> Result<ExitCode, Failure> {
    let cluster = connect(global).await?;
    let now = machine.clock.now();
    let everywhere = arguments.all_namespaces;
    let (client, namespace) = (cluster.client.clone(), cluster.namespace.as_str());
    let fine = match (&arguments.name, arguments.kind) {
        (Some(name), Kind::Certificate) => {
            let report = certificate::look(&cluster, name, now).await?;
            machine.terminal.show(global.output, &report, |page, wide| report.write(page, wide, now))?;
            report.is_fine()
        }
        (Some(name), Kind::Issuer) => {
            let report =
                issuer::look(Api::<Issuer>::namespaced(client, namespace), &cluster, name, now).await?;
            machine.terminal.show(global.output, &report, |page, wide| report.write(page, wide, now))?;
            report.is_fine()
        }
        (Some(name), Kind::Clusterissuer) => {
            let report = issuer::look(Api::<ClusterIssuer>::all(client), &cluster, name, now).await?;
            machine.terminal.show(global.output, &report, |page, wide| report.write(page, wide, now))?;
            report.is_fine()
        }
        (None, kind) => {
            let rows = list::look(kind, &cluster, everywhere).await?;
            let place = if everywhere || kind == Kind::Clusterissuer { None } else { Some(namespace) };
            machine
                .terminal
                .show(global.output, &rows, |page, wide| list::write(page, &rows, place, wide, now))?;
            rows.iter().all(list::Row::is_fine)
        }
    };
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(NOT_AS_WANTED) })
}
