//! Prints how long each step of one issuance takes, in microseconds, for every algorithm.
//!
//! Run: `cargo run --release -p keywright-pki --example timing`

use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{Serial, Template, Validity, assemble};
use keywright_pki::csr::{self, Csr};
use keywright_pki::key::PrivateKey;
use keywright_pki::lint::lint;
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::usage::Usages;
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{:<12}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "us", "sign", "verify", "csr", "tbs", "lint", "assemble", "load"
    );
    for algorithm in KeyAlgorithm::ALL {
        let key = PrivateKey::generate(algorithm)?;
        let pkcs8 = key.to_pkcs8_der()?;
        let none: [&str; 0] = [];
        let subject = DistinguishedName::with_common_name("Issuer")?;
        let template = Template {
            serial: Serial::from_random([1; 20]),
            issuer_name: subject.to_der()?,
            subject,
            sans: SubjectAltNames::parse(&["web.a.example", "api.a.example"], &none, &none, &none)?,
            public_key: key.public_key().clone(),
            authority_key_identifier: Some(key.public_key().key_identifier().to_vec()),
            validity: Validity::new("2025-01-01T00:00:00Z".parse()?, "2055-01-01T00:00:00Z".parse()?)?,
            usages: Usages::parse(&["digital signature", "server auth"])?,
            ca: None,
            crl_distribution_points: vec![],
            ocsp_servers: vec![],
            issuing_certificate_urls: vec![],
        };
        let request = csr::build(&template.subject, &template.sans, &key)?;
        let tbs = template.tbs_der(algorithm)?;
        let signature = key.sign(tbs.as_bytes())?;
        let row = [
            measure(|| key.sign(tbs.as_bytes()).is_ok()),
            measure(|| key.public_key().verify(tbs.as_bytes(), &signature).is_ok()),
            measure(|| Csr::parse(&request).is_ok()),
            measure(|| template.tbs_der(algorithm).is_ok()),
            measure(|| lint(tbs.as_bytes()).is_empty()),
            measure(|| assemble(&tbs, &signature).is_ok()),
            measure(|| PrivateKey::from_pkcs8_der(&pkcs8).is_ok()),
        ];
        print!("{:<12}", algorithm.name());
        for micros in row {
            print!("{micros:>9.1}");
        }
        println!();
    }
    Ok(())
}

/// Mean microseconds over a fifth of a second.
#[expect(clippy::disallowed_methods, reason = "measuring is all that this program does")]
fn measure(mut step: impl FnMut() -> bool) -> f64 {
    let begin = Instant::now();
    let mut rounds = 0_u32;
    while begin.elapsed() < Duration::from_millis(200) {
        assert!(black_box(step()), "a step failed");
        rounds += 1;
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
}
