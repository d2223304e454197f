//! The program as scripts see it: help, wrong usage, exit codes, files.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::{pki, run, run_with};
use keywright_pki::key::Encoding;

#[tokio::test]
async fn help_speaks_of_itself_as_kubectl_does() {
    for words in [&["--help"][..], &["status", "--help"], &["renew", "--help"], &["verify", "--help"]] {
        let ended = run(words).await;
        assert_eq!(ended.code, 0, "{words:?}");
        assert!(ended.stdout.contains("Usage: kubectl keywright"), "{words:?}: {}", ended.stdout);
        assert!(!ended.stdout.contains("kubectl-keywright"), "{words:?}: {}", ended.stdout);
    }
    assert!(run(&["--help"]).await.stdout.contains("Exit codes:"));
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_says_what_is_right() {
    for words in [&[][..], &["unknown"], &["status"], &["status", "secret", "x"], &["renew"], &["verify"]] {
        let ended = run(words).await;
        assert_eq!(ended.code, 2, "{words:?}: {ended:?}");
        assert!(
            !ended.stderr.is_empty() && !ended.stderr.contains("kubectl-keywright"),
            "{words:?}: {ended:?}"
        );
    }
}

#[tokio::test]
async fn without_a_cluster_it_ends_with_3() {
    let missing = run(&["status", "certificate", "web"]).await;
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(missing.stderr.contains("kubeconfig"), "{missing:?}");
    let file = run(&["inspect", "file", "/nonexistent"]).await;
    assert_eq!(file.code, 3, "{file:?}");
}

#[tokio::test]
async fn the_version_is_told_in_every_form() {
    let text = run(&["version"]).await;
    assert_eq!((text.code, text.stdout.lines().next()), (0, Some("kubectl keywright 0.1.0")));
    let json = run(&["version", "-o", "json"]).await.json();
    assert_eq!(json["api"], "keywright.dev/v1alpha1");
    assert!(run(&["version", "-o", "yaml"]).await.stdout.contains("api: keywright.dev/v1alpha1"));
}

#[tokio::test]
async fn completion_scripts_are_written() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = run(&["completion", shell]).await;
        assert_eq!(ended.code, 0);
        assert!(ended.stdout.contains("keywright"), "{shell}");
    }
}

#[tokio::test]
async fn kubectl_is_told_what_may_be_typed_next() {
    let script = run(&["completion", "kubectl"]).await;
    assert!(script.stdout.starts_with("#!/bin/sh\nexec kubectl-keywright __complete"), "{script:?}");
    for (words, wanted) in [
        (&["re"][..], "renew\nrequests\n:4\n"),
        (&["status", "c"], "certificate\nclusterissuer\n:4\n"),
        (&["renew", "--dr"], "--dry-run\n:4\n"),
        (&["inspect", "file", ""], ":0\n"),
        (&["status", "cert", ""], ":4\n"),
    ] {
        let ended = run(&[&["__complete", "--"], words].concat()).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (0, wanted), "{words:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_chain_with_its_key_is_explained_and_the_key_is_not_shown() {
    let pki = pki(1);
    let key = pki.key.to_pem(Encoding::Pkcs8).unwrap();
    let input = format!("{}{}{}", pki.leaf.to_pem(), pki.root.to_pem(), key.as_str());
    for form in ["text", "wide", "json", "yaml"] {
        let ended = run_with(&["inspect", "file", "-", "-o", form], input.as_bytes()).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        for wanted in ["web.example", "CN=Test root", "digital signature", "ECDSA-P256"] {
            assert!(ended.stdout.contains(wanted), "{form}: {wanted}: {}", ended.stdout);
        }
        for line in key.lines().filter(|line| !line.starts_with('-')) {
            assert!(!ended.stdout.contains(line) && !ended.stderr.contains(line), "{form}");
        }
    }
}

#[tokio::test]
async fn what_does_not_belong_together_ends_with_1() {
    let (one, other) = (pki(1), pki(2));
    let key = other.key.to_pem(Encoding::Pkcs8).unwrap();
    let chain = format!("{}{}", one.leaf.to_pem(), other.root.to_pem());
    let stranger = run_with(&["inspect", "file", "-"], chain.as_bytes()).await;
    assert_eq!(stranger.code, 1);
    assert!(stranger.stdout.contains("chain: certificate 0"), "{}", stranger.stdout);
    let input = format!("{}{}", one.leaf.to_pem(), key.as_str());
    let misfit = run_with(&["inspect", "file", "-"], input.as_bytes()).await;
    assert_eq!(misfit.code, 1);
    assert!(misfit.stdout.contains("does not belong to the certificate"), "{}", misfit.stdout);
    for garbage in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert_eq!(run_with(&["inspect", "file", "-"], garbage.as_bytes()).await.code, 1, "{garbage:?}");
    }
}

#[tokio::test]
async fn der_is_read_as_well() {
    let pki = pki(1);
    let ended = run_with(&["inspect", "file", "-", "-o", "json"], pki.leaf.der()).await;
    assert_eq!(ended.code, 0);
    assert_eq!(ended.json()["certificates"][0]["serialNumber"], pki.leaf.serial().to_string());
}
