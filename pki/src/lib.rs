//! Certificates, requests, names, keys: parse, build, verify.
