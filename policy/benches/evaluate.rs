//! How many decisions one thread makes a second, for a policy of 80 lines and a Certificate that it allows.
//!
//! Prints one line and fails under 8,000. Options: `--seconds N` (default 3).

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark ends at the first surprise")]

use keywright_policy::{AppliesTo, Input, Issuer, Member, Mode, Outcome, PolicySet, Rules, Source, User};
use serde_json::json;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const GOAL: f64 = 8000.0;
const LINES: &str = include_str!("eighty_lines.rego");

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn set() -> PolicySet {
    let source = Source {
        name: "platform".to_owned(),
        applies_to: AppliesTo { kinds: vec!["Certificate".to_owned()], ..AppliesTo::default() },
        mode: Mode::Enforce,
        data: [
            (
                "teams".to_owned(),
                json!({"shop": {"domains": ["shop.internal.test"]}, "edge": {"domains": ["example.test"]}}),
            ),
            (
                "settings".to_owned(),
                json!({"internalDomain": "internal.test", "ranges": ["10.0.0.0/8", "2001:db8::/32"]}),
            ),
        ]
        .into(),
        rules: Rules::Rego(LINES.to_owned()),
    };
    PolicySet::new(vec![Arc::new(Member::of(source, None))]).unwrap()
}

fn input() -> Input {
    Input {
        request: "CREATE".to_owned(),
        object: json!({
            "apiVersion": "keywright.dev/v1alpha1", "kind": "Certificate",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "labels": {"example.com/team": "shop"}},
            "spec": {
                "secretName": "web-tls", "duration": "720h", "usages": ["digital signature", "server auth"],
                "dnsNames": ["web.shop.internal.test", "www.shop.internal.test"], "ipAddresses": ["10.1.2.3"],
                "privateKey": {"algorithm": "ECDSA", "size": 256}, "issuerRef": {"kind": "ClusterIssuer", "name": "root"},
            },
        }),
        user: User {
            username: "ann".to_owned(),
            groups: vec!["dev".to_owned(), "system:authenticated".to_owned()],
            ..User::default()
        },
        issuer: Some(Issuer { kind: "ClusterIssuer".to_owned(), name: "root".to_owned(), namespace: None }),
        time: "2030-01-01T00:00:00Z".to_owned(),
        ..Input::default()
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds = arguments.iter().position(|argument| argument == "--seconds");
    let seconds = seconds.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(3);
    let (set, input) = (set(), input());
    assert_eq!(set.decide(&input).outcome, Outcome::Allow);
    let (start, end) = (now(), Duration::from_secs(seconds));
    let mut decisions = 0_u32;
    while start.elapsed() < end {
        assert_eq!(set.decide(&input).outcome, Outcome::Allow);
        decisions += 1;
    }
    let each = f64::from(decisions) / start.elapsed().as_secs_f64();
    println!("{each:.0} decisions a second on one thread, {:.0} us each; goal {GOAL:.0}", 1e6 / each);
    if each < GOAL { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
