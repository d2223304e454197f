//! What may be typed.

use crate::output::Form;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  0  everything is as wanted
  1  something is not: not Ready, missing, refused, or a check failed
  2  wrong usage
  3  the cluster, the log or a file could not be reached, or access is not allowed";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-keywright",
    bin_name = "kubectl keywright",
    display_name = "kubectl keywright",
    version,
    about = "Looks into and steers Keywright: certificates, issuers, and the signer's log.",
    after_help = EXIT_CODES,
    disable_help_subcommand = true,
    propagate_version = false
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes; those of kubectl mean the same here.
#[derive(Debug, Args)]
#[command(next_help_heading = "Flags of every command")]
pub struct Global {
    /// Namespace to look in; the context's when absent.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig to use.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Kubeconfig file to use in place of $KUBECONFIG or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// User to act as.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub act_as: Option<String>,
    /// Group to act as; may be repeated.
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub act_as_group: Vec<String>,
    /// How long one request to the API server may take, such as 30s or 2m; 0 means for ever.
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = limit)]
    pub request_timeout: Limit,
    /// Form of the output.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub output: Form,
}

/// A time limit; none when it is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Option<Duration>);

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Checks that the installation works, and says what to do where it does not.
    Check(Check),
    /// Shows what an object wants, what is so, and what to do next.
    Status(Status),
    /// Asks for new certificates before they are due.
    Renew(Renew),
    /// Shows requests for approval, or one of them with its effect.
    Requests(Requests),
    /// Agrees to a request for approval.
    Approve(Vote),
    /// Denies a request for approval; one denial is final.
    Deny(Vote),
    /// Says what a certificate waits for, and whose agreement it needs.
    Why {
        /// Name of the certificate.
        name: String,
    },
    /// Tries policies against example inputs, and says which rule decided.
    #[command(subcommand)]
    Policy(Policy),
    /// Explains certificates in plain words.
    #[command(subcommand)]
    Inspect(Inspect),
    /// Checks that a certificate stands in the signer's log.
    Verify(Box<Verify>),
    /// Prints the version of this plugin.
    Version,
    /// Prints a completion script for a shell.
    Completion {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
    /// What kubectl asks for while somebody types.
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The words so far.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// `policy`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Runs policies against example inputs, offline. Exits with 1 if one does not get what it expects, or a policy does not
    /// compile.
    Test(PolicyTest),
    /// Says which policies were asked and which rule decided: of files, or of an object of the cluster under its policies.
    Explain(PolicyExplain),
}

/// `policy test`.
#[derive(Debug, Args)]
pub struct PolicyTest {
    /// File of Policy objects, and of inputs: input documents as docs/policy.md has them, or objects as they would be
    /// created. `expect: Deny` or `RequireApproval` in an input says what it should get; else Allow. The bundle of a policy
    /// is a file too (.tar.gz or .wasm), or in a ConfigMap among the objects. May be repeated.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// `policy explain`.
#[derive(Debug, Args)]
pub struct PolicyExplain {
    /// File of Policy objects and inputs, as for `test`. May be repeated.
    #[arg(short = 'f', long = "filename", value_name = "FILE", conflicts_with = "object")]
    pub files: Vec<PathBuf>,
    /// An object of the cluster: certificate, issuer or clusterissuer, and its name.
    #[arg(value_names = ["KIND", "NAME"], num_args = 2)]
    pub object: Vec<String>,
    /// Namespace that Keywright is installed in, where the bundles of policies of the cluster lie.
    #[arg(long, default_value = "keywright-system", value_name = "NAMESPACE")]
    pub system_namespace: String,
}

/// What completion scripts are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash, for the program kubectl-keywright.
    Bash,
    /// zsh, for the program kubectl-keywright.
    Zsh,
    /// fish, for the program kubectl-keywright.
    Fish,
    /// Any shell that completes kubectl: to be saved as kubectl_complete-keywright on the PATH.
    Kubectl,
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Namespace that Keywright is installed in.
    #[arg(long, default_value = "keywright-system", value_name = "NAMESPACE")]
    pub system_namespace: String,
    /// Also issue a certificate in the namespace of --namespace, which has to be served, verify it and remove it.
    #[arg(long)]
    pub issue: bool,
    /// How long to wait for it, such as 90s or 5m; 0 means for ever.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = limit)]
    pub timeout: Limit,
}

/// `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Kind of object: certificate (cert), issuer (iss) or clusterissuer (ciss).
    #[arg(value_enum)]
    pub kind: Kind,
    /// Name of the object; without it all of them are listed.
    pub name: Option<String>,
    /// List those of all namespaces.
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub all_namespaces: bool,
}

/// Kinds that `status` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Certificates.
    #[value(aliases = ["cert", "certs", "certificates", "kwcert"])]
    Certificate,
    /// Issuers of a namespace.
    #[value(aliases = ["iss", "issuers", "kwissuer"])]
    Issuer,
    /// Issuers of the cluster.
    #[value(aliases = ["ciss", "clusterissuers", "kwcissuer"])]
    Clusterissuer,
}

/// `renew`.
#[derive(Debug, Args)]
pub struct Renew {
    /// Names of certificates.
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "NAME")]
    pub names: Vec<String>,
    /// All certificates of the namespace.
    #[arg(long)]
    pub all: bool,
    /// With --all: of all namespaces.
    #[arg(short = 'A', long, requires = "all")]
    pub all_namespaces: bool,
    /// server: let the API server check the request without storing it.
    #[arg(long, value_enum, default_value_t, value_name = "WHERE")]
    pub dry_run: DryRun,
    /// Wait until the new certificates are Ready.
    #[arg(long)]
    pub wait: bool,
    /// How long to wait, such as 90s or 5m; 0 means for ever.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = limit)]
    pub timeout: Limit,
}

/// Whether a change is only tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// It is made.
    #[default]
    None,
    /// The API server checks it and forgets it.
    Server,
}

/// `requests`.
#[derive(Debug, Args)]
pub struct Requests {
    /// Name of the request; without it all of them are listed.
    pub name: Option<String>,
    /// List those of all namespaces.
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub all_namespaces: bool,
}

/// `approve` and `deny`.
#[derive(Debug, Args)]
#[command(after_help = "\
Where the class asks for signatures:
  kubectl keywright approve web-1b2c --statement > statement
  ssh-keygen -Y sign -n keywright.dev/approval -f ~/.ssh/id_ed25519 statement
  kubectl keywright approve web-1b2c --signature statement.sig")]
pub struct Vote {
    /// Name of the request.
    pub name: String,
    /// Why.
    #[arg(long, value_name = "WORDS")]
    pub reason: Option<String>,
    /// File with what ssh-keygen wrote over the statement.
    #[arg(long, value_name = "FILE", conflicts_with = "statement")]
    pub signature: Option<PathBuf>,
    /// Prints the statement to be signed, and votes nothing.
    #[arg(long)]
    pub statement: bool,
}

/// `inspect`.
#[derive(Debug, Subcommand)]
pub enum Inspect {
    /// Explains what a Secret of type kubernetes.io/tls holds; private keys are checked and not shown.
    Secret {
        /// Name of the Secret.
        name: String,
    },
    /// Explains a file with PEM blocks or one DER certificate.
    File {
        /// Path of the file; - reads standard input.
        path: PathBuf,
        /// A file with the root, when the chain does not hold it.
        #[arg(long, value_name = "FILE")]
        root: Option<PathBuf>,
    },
}

/// `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl keywright verify --secret web-tls --log ./log --log-key-file log.vkey
  kubectl keywright verify web.pem --log https://log.example.com --log-key example.com/log+1b2c3d4e+AY...
  kubectl keywright verify web.pem --log ./log --log-key-file log.vkey --write-proof web.tlog-proof
  kubectl keywright verify --proof web.tlog-proof --log-key-file log.vkey")]
pub struct Verify {
    /// File with the certificate, PEM or DER; - reads standard input. Its first certificate counts.
    #[arg(value_name = "FILE", required_unless_present_any = ["secret", "proof"], conflicts_with = "secret")]
    pub file: Option<PathBuf>,
    /// Takes the certificate from tls.crt of this Secret.
    #[arg(long, value_name = "NAME")]
    pub secret: Option<String>,
    /// The log: a folder with a copy of it (checkpoint, tile/...), or its https URL.
    #[arg(long, value_name = "DIR|URL", required_unless_present = "proof", conflicts_with = "proof")]
    pub log: Option<String>,
    /// The log's verifier key, as name+hash+base64 (c2sp.org/signed-note). It is what you trust: get it from the
    /// signer's operators and not from where the log comes from.
    #[arg(long, env = "KEYWRIGHT_LOG_KEY", value_name = "VKEY", required_unless_present = "log_key_file")]
    pub log_key: Option<String>,
    /// A file with the verifier key.
    #[arg(long, value_name = "FILE", conflicts_with = "log_key")]
    pub log_key_file: Option<PathBuf>,
    /// Verifier key of a witness that has to have cosigned the checkpoint (c2sp.org/tlog-cosignature); may be repeated.
    #[arg(long, value_name = "VKEY")]
    pub witness_key: Vec<String>,
    /// How many of the witnesses have to have cosigned; all of them when absent.
    #[arg(long, value_name = "N", requires = "witness_key")]
    pub witness_quorum: Option<usize>,
    /// A file (PEM) with the certificate's issuer, to check its signature too; not needed when it stands beside the
    /// certificate.
    #[arg(long, value_name = "FILE")]
    pub issuer: Option<PathBuf>,
    /// A file with the authorities (PEM) that an https log is served under, when the system does not know them.
    #[arg(long, value_name = "FILE", requires = "log")]
    pub log_ca: Option<PathBuf>,
    /// Index of the entry. Otherwise the Secret's annotation says it, or the log is searched.
    #[arg(long, value_name = "N", conflicts_with = "proof")]
    pub log_index: Option<u64>,
    /// Writes a proof that can be checked with nothing else (c2sp.org/tlog-proof).
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    pub write_proof: Option<PathBuf>,
    /// Checks a proof that --write-proof made, in place of a log.
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    pub proof: Option<PathBuf>,
}

fn limit(text: &str) -> Result<Limit, String> {
    if text == "0" {
        return Ok(Limit(None));
    }
    let duration = keywright_crds::duration::parse(text).map_err(|error| error.to_string())?;
    Ok(Limit(Some(duration).filter(|duration| !duration.is_zero())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn command_lines_are_taken_or_refused() {
        for (line, taken) in [
            ("check", true),
            ("check --issue -n keywright-check --timeout 90s --system-namespace kw -o json", true),
            ("check web", false),
            ("status certificate web", true),
            ("status cert web -n shop -o json", true),
            ("status iss ca --context x --as me --as-group a --as-group b", true),
            ("status ciss", true),
            ("status certificate -A", true),
            ("status certificate web -A", false),
            ("status secret web", false),
            ("renew web api --wait --timeout 90s", true),
            ("renew --all -A --dry-run=server", true),
            ("renew -A", false),
            ("renew", false),
            ("renew web --all", false),
            ("renew web --timeout soon", false),
            ("requests -A", true),
            ("requests web-1b2c -A", false),
            ("approve web-1b2c --reason seen", true),
            ("approve web-1b2c --statement --signature f", false),
            ("deny", false),
            ("why web", true),
            ("inspect secret web-tls", true),
            ("inspect file -", true),
            ("inspect", false),
            ("verify web.pem --log d --log-key k", true),
            ("verify --secret web --log d --log-key k --log-index 7", true),
            ("verify --proof p --log-key k", true),
            ("verify --proof p --log d --log-key k", false),
            ("verify web.pem --log-key k", false),
            ("verify web.pem --log d", false),
            ("version", true),
            ("completion bash", true),
            ("completion kubectl", true),
            ("help", false),
        ] {
            let words = std::iter::once("kubectl-keywright").chain(line.split(' '));
            assert_eq!(Cli::try_parse_from(words).is_ok(), taken, "{line}");
        }
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(limit("0"), Ok(Limit(None)));
        assert_eq!(limit("0s"), Ok(Limit(None)));
        assert_eq!(limit("90s"), Ok(Limit(Some(Duration::from_secs(90)))));
        assert!(limit("1d").is_err());
    }
}
