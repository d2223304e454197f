//! Completion: scripts for shells, and the words that kubectl asks for while somebody types `kubectl keywright ...`.
//!
//! kubectl calls the program `kubectl_complete-keywright` with the words so far, the last one unfinished, and reads one
//! candidate a line and then a directive (github.com/spf13/cobra, "shell completions"). That program is a script of two
//! lines; the words come from here, from the same definition that reads the command line.

use crate::cli::{Cli, Kind, Shell};
use crate::connect::connect;
use crate::output::Terminal;
use crate::status::list;
use clap::{Arg, Command, CommandFactory, Parser, ValueEnum};
use k8s_openapi::api::core::v1::Secret;
use keywright_crds::{ApprovalRequest, Certificate, ClusterIssuer, Issuer};
use kube::api::{Api, ListParams};
use std::time::Duration;

/// The shell may offer files too.
const FILES: u8 = 0;
/// The shell offers nothing else.
const NO_FILES: u8 = 4;
/// A person is waiting for a key press to take effect.
const PATIENCE: Duration = Duration::from_secs(2);
/// More names than these help nobody.
const MOST: u32 = 200;

const KUBECTL: &str = "#!/bin/sh\nexec kubectl-keywright __complete -- \"$@\"\n";

/// Prints the script for a shell.
pub(crate) fn script(shell: Shell) {
    let known = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Kubectl => return Terminal::print(KUBECTL),
    };
    let mut text = Vec::new();
    clap_complete::generate(known, &mut Cli::command(), "kubectl-keywright", &mut text);
    Terminal::print(&String::from_utf8_lossy(&text));
}

/// Prints the candidates for the last of these words.
pub(crate) async fn complete(words: &[String]) {
    let (earlier, last) = match words.split_last() {
        Some((last, earlier)) => (earlier, last.as_str()),
        None => (words, ""),
    };
    let (asked, flags) = ask(earlier, last);
    let (candidates, directive) = match asked {
        Asked::Words(words) => (words, NO_FILES),
        Asked::Files => (Vec::new(), FILES),
        Asked::Names(of) => {
            let found = tokio::time::timeout(PATIENCE, names(of, &flags)).await;
            (found.ok().flatten().unwrap_or_default(), NO_FILES)
        }
    };
    let mut text = String::new();
    for candidate in candidates.iter().filter(|candidate| candidate.starts_with(last)) {
        text.push_str(candidate);
        text.push('\n');
    }
    Terminal::print(&format!("{text}:{directive}\n"));
}

/// What could stand where somebody types.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Words(Vec<String>),
    Names(Of),
    Files,
}

/// Objects that have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Objects(Kind),
    Secrets,
    Requests,
}

/// Walks the definition along the words; also gives the flags that say which cluster is meant.
fn ask(earlier: &[String], last: &str) -> (Asked, Vec<String>) {
    const WHERE: [&str; 5] = ["namespace", "context", "kubeconfig", "act_as", "act_as_group"];
    let mut root = Cli::command();
    root.build();
    let mut command = &root;
    let mut values: Vec<&str> = Vec::new();
    let mut flags = Vec::new();
    let mut pending: Option<&Arg> = None;
    for word in earlier {
        if let Some(arg) = pending.take() {
            if let Some(long) = arg.get_long().filter(|_| WHERE.contains(&arg.get_id().as_str())) {
                flags.push(format!("--{long}={word}"));
            }
        } else if let Some(flag) = word.strip_prefix('-') {
            let arg = flag_of(command, flag);
            match flag.split_once('=') {
                Some(_) if arg.is_some_and(|arg| WHERE.contains(&arg.get_id().as_str())) => {
                    flags.push(word.clone());
                }
                Some(_) => {}
                None => pending = arg.filter(|arg| arg.get_action().takes_values()),
            }
        } else if let Some(next) = command.find_subcommand(word) {
            command = next;
            values.clear();
        } else {
            values.push(word);
        }
    }
    let asked = match pending {
        Some(arg) => of_argument(command, arg, &values),
        None if last.starts_with('-') => Asked::Words(flags_of(command)),
        None if command.has_subcommands() => Asked::Words(
            command
                .get_subcommands()
                .filter(|sub| !sub.is_hide_set())
                .map(|sub| sub.get_name().to_owned())
                .collect(),
        ),
        None => {
            let place = command.get_positionals().nth(values.len());
            let repeated = command
                .get_positionals()
                .last()
                .filter(|arg| arg.get_num_args().is_some_and(|count| count.max_values() > 1));
            place.or(repeated).map_or(Asked::Words(Vec::new()), |arg| of_argument(command, arg, &values))
        }
    };
    (asked, flags)
}

/// `flag`: without its first dash.
fn flag_of<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    let name = flag.split('=').next().unwrap_or_default();
    command.get_arguments().find(|arg| match name.strip_prefix('-') {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some_and(|short| name == short.to_string()),
    })
}

fn flags_of(command: &Command) -> Vec<String> {
    command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .filter_map(|arg| arg.get_long().map(|long| format!("--{long}")))
        .collect()
}

fn of_argument(command: &Command, arg: &Arg, values: &[&str]) -> Asked {
    let possible: Vec<String> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if !possible.is_empty() {
        return Asked::Words(possible);
    }
    match (command.get_name(), arg.get_id().as_str()) {
        ("status", "name") => {
            let kind = values.first().and_then(|word| Kind::from_str(word, true).ok());
            kind.map_or(Asked::Words(Vec::new()), |kind| Asked::Names(Of::Objects(kind)))
        }
        ("renew", "names") | ("why", "name") => Asked::Names(Of::Objects(Kind::Certificate)),
        ("requests" | "approve" | "deny", "name") => Asked::Names(Of::Requests),
        ("secret", "name") | ("verify", "secret") => Asked::Names(Of::Secrets),
        (
            _,
            "file" | "path" | "root" | "log" | "log_key_file" | "log_ca" | "write_proof" | "proof" | "issuer"
            | "kubeconfig" | "signature",
        ) => Asked::Files,
        _ => Asked::Words(Vec::new()),
    }
}

/// Names in the cluster; none when it cannot be asked.
async fn names(of: Of, flags: &[String]) -> Option<Vec<String>> {
    let program = ["kubectl-keywright".to_owned()];
    let words = program.iter().chain(flags).cloned().chain(["version".to_owned()]);
    let cluster = connect(&Cli::try_parse_from(words).ok()?.global).await.ok()?;
    let (client, place) = (&cluster.client, Some(cluster.namespace.as_str()));
    match of {
        Of::Objects(Kind::Certificate) => named(list::scope::<Certificate>(client, place)).await,
        Of::Objects(Kind::Issuer) => named(list::scope::<Issuer>(client, place)).await,
        Of::Objects(Kind::Clusterissuer) => named(Api::<ClusterIssuer>::all(client.clone())).await,
        Of::Secrets => named(list::scope::<Secret>(client, place)).await,
        Of::Requests => named(list::scope::<ApprovalRequest>(client, place)).await,
    }
}

/// Only the metadata is asked for: of Secrets nothing else may come here.
async fn named<K>(api: Api<K>) -> Option<Vec<String>>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let found = api.list_metadata(&ListParams::default().limit(MOST)).await.ok()?;
    Some(found.items.into_iter().filter_map(|one| one.metadata.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Asked {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (last, earlier) = words.split_last().unwrap();
        ask(earlier, last).0
    }

    fn words(line: &str) -> Vec<String> {
        match asked(line) {
            Asked::Words(words) => words,
            other @ (Asked::Names(_) | Asked::Files) => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn commands_kinds_and_flags_are_offered() {
        let commands =
            ["check", "status", "renew", "requests", "approve", "deny", "why", "policy", "inspect", "verify"];
        assert_eq!(words(""), [&commands[..], &["version", "completion"]].concat());
        assert_eq!(words("status "), ["certificate", "issuer", "clusterissuer"]);
        assert_eq!(words("inspect "), ["secret", "file"]);
        assert_eq!(words("renew --dry-run "), ["none", "server"]);
        assert_eq!(words("-n shop status -o "), ["text", "wide", "json", "yaml"]);
        let flags = words("renew --");
        for wanted in ["--wait", "--all", "--namespace", "--output"] {
            assert!(flags.iter().any(|flag| flag == wanted), "{wanted}: {flags:?}");
        }
    }

    #[test]
    fn names_and_files_are_offered_where_they_belong() {
        for (line, wanted) in [
            ("status cert ", Asked::Names(Of::Objects(Kind::Certificate))),
            ("status ciss w", Asked::Names(Of::Objects(Kind::Clusterissuer))),
            ("renew web api ", Asked::Names(Of::Objects(Kind::Certificate))),
            ("inspect secret ", Asked::Names(Of::Secrets)),
            ("verify --secret ", Asked::Names(Of::Secrets)),
            ("inspect file ", Asked::Files),
            ("verify --log ", Asked::Files),
            ("verify ", Asked::Files),
            ("approve ", Asked::Names(Of::Requests)),
            ("approve web-1 --signature ", Asked::Files),
            ("why ", Asked::Names(Of::Objects(Kind::Certificate))),
            ("status cert web ", Asked::Words(Vec::new())),
        ] {
            assert_eq!(asked(line), wanted, "{line}");
        }
    }

    #[test]
    fn the_flags_that_name_the_cluster_are_kept() {
        let words = ["-n", "shop", "status", "--context=x", "-o", "json", "cert"].map(str::to_owned);
        assert_eq!(ask(&words, "").1, ["--namespace=shop", "--context=x"]);
    }
}
