//! What was measured, as it stands in the JSON report. Times in seconds or milliseconds, memory in MiB, as named.

use super::usage::Cost;
use super::writes::Writes;
use serde::{Deserialize, Serialize};

/// Everything of one run; a part that was not measured is absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Figures {
    /// When it began, RFC 3339, UTC.
    pub(super) began: String,
    /// The commit that was measured, with "+" where the checkout differed from it.
    pub(super) commit: String,
    /// On what.
    pub(super) machine: Machine,
    /// The product at rest.
    pub(super) idle: Option<Idle>,
    /// N certificates on the real control plane, from the fewest to the most.
    pub(super) issuance: Vec<Issuance>,
    /// What the API server alone needs for the writes of the most.
    pub(super) floor: Option<Floor>,
    /// A restart with the most.
    pub(super) restart: Option<Restart>,
    /// A restart with the most and foreign Secrets.
    pub(super) foreign: Option<Restart>,
    /// All of the most issued again at once.
    pub(super) renewal: Option<Issuance>,
    /// One namespace floods while another is measured.
    pub(super) flood: Option<Flood>,
    /// N certificates against an API server in memory.
    pub(super) fake: Vec<Issuance>,
}

/// What it ran on, and what else ran.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Machine {
    /// Processors.
    pub(super) cores: usize,
    /// Their name.
    pub(super) processor: String,
    /// The kernel's release.
    pub(super) kernel: String,
    /// Load average of one minute before the run.
    pub(super) load_before: f64,
}

/// Resident memory at rest, MiB.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Idle {
    /// By process.
    pub(super) resident_mib: std::collections::BTreeMap<String, f64>,
    /// Together.
    pub(super) total_mib: f64,
}

/// Certificates from asked for to Ready.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Issuance {
    /// How many.
    pub(super) certificates: usize,
    /// Until all were Ready, from the first request.
    pub(super) wall_seconds: f64,
    /// Until all had been applied.
    pub(super) applied_seconds: f64,
    /// From applied to Ready, half of them.
    pub(super) p50_ms: f64,
    /// The same, 99 of a hundred.
    pub(super) p99_ms: f64,
    /// The operator.
    pub(super) operator: Cost,
    /// The signer.
    pub(super) signer: Cost,
    /// kube-apiserver; nothing of the fake one.
    pub(super) api_server: Option<Cost>,
    /// What the product wrote; nothing where nobody counted.
    pub(super) writes: Option<Writes>,
    /// etcd's data file, MiB.
    pub(super) etcd_mib: Option<f64>,
}

impl Issuance {
    /// Processor seconds of the operator for a thousand certificates.
    pub(super) fn operator_cpu_per_1000(&self) -> f64 {
        per_1000(self.operator.cpu_seconds, self.certificates)
    }

    /// Processor seconds of the signer for a thousand certificates.
    pub(super) fn signer_cpu_per_1000(&self) -> f64 {
        per_1000(self.signer.cpu_seconds, self.certificates)
    }

    /// A count for each certificate.
    pub(super) fn each(&self, count: usize) -> f64 {
        ratio(count, self.certificates)
    }
}

fn per_1000(seconds: f64, certificates: usize) -> f64 {
    seconds * ratio(1000, certificates)
}

/// Counts of requests and certificates are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b.max(1) as f64
}

/// The same writes without the product.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Floor {
    /// For how many certificates.
    pub(super) certificates: usize,
    /// Until all was written.
    pub(super) wall_seconds: f64,
}

/// A restart of the operator among certificates that exist.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Restart {
    /// How many there were.
    pub(super) certificates: usize,
    /// Secrets that are not the product's.
    pub(super) foreign_secrets: usize,
    /// From the start of the process until a certificate that was applied while it was down was Ready.
    pub(super) next_seconds: f64,
    /// What the operator used until then and for ten seconds more.
    pub(super) operator: Cost,
    /// What it wrote meanwhile; two objects are the next certificate's.
    pub(super) writes: Writes,
}

/// One namespace floods while another is measured; both as latency from applied to Ready.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Flood {
    /// Certificates of the flood.
    pub(super) certificates: usize,
    /// Until all of the flood were Ready.
    pub(super) wall_seconds: f64,
    /// Certificates that were measured meanwhile.
    pub(super) measured: usize,
    /// Half of them.
    pub(super) p50_ms: f64,
    /// 99 of a hundred.
    pub(super) p99_ms: f64,
    /// Half of those before the flood, one by one.
    pub(super) calm_p50_ms: f64,
}
