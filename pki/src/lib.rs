//! Certificates, requests, names, keys: parse, build, verify.
//!
//! Owns X.509 (RFC 5280), PKCS#10 (RFC 2986), the algorithms and the boundary to the cryptographic library (aws-lc).
//! Never asks for the time (instants are arguments), never talks to a network, never reads a file. Every reader of
//! foreign bytes is total: it gives a value or an error, in time linear in its input.
//!
//! ```text
//! text  -> name, constraints, usage, algorithm   values that are right by construction
//! bytes -> csr, certificate, key, pem            the same, from DER and PEM
//! values -> certificate::Template -> TbsDer -> (lint, record, sign) -> Certificate -> chain::verify
//! ```

pub mod algorithm;
pub mod certificate;
pub mod chain;
pub mod constraints;
pub mod csr;
pub mod key;
pub mod lint;
pub mod name;
pub mod pem;
pub mod usage;

mod asn1;
