//! Writes a root, a child, a leaf and the leaf's key of every algorithm into a folder, to try other verifiers on them.
//!
//! Run: `cargo run -p keywright-pki --example make_chains -- FOLDER`

use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{CaProfile, Certificate, Serial, Template, Validity, assemble};
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::key::{Encoding, PrivateKey};
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::usage::Usages;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: make_chains FOLDER")?);
    std::fs::create_dir_all(&folder)?;
    let none: [&str; 0] = [];
    let permitted = Subtrees::parse("permitted", &["a.example"], &["10.0.0.0/8"], &none, &none)?;
    let excluded = Subtrees::parse("excluded", &["secret.a.example"], &none, &none, &none)?;
    let constrained =
        CaProfile { path_length: Some(1), name_constraints: NameConstraints { permitted, excluded } };
    let leaf_usages = ["digital signature", "key encipherment", "server auth", "client auth"];
    for algorithm in KeyAlgorithm::ALL {
        let keys = [generate(algorithm)?, generate(algorithm)?, generate(algorithm)?];
        let [root_key, child_key, leaf_key] = &keys;
        let root = template("Root", root_key, Some(constrained.clone()), Usages::authority())?;
        let root = sign(&Template { issuer_name: root.subject.to_der()?, ..root }, root_key)?;
        let child = template("Child", child_key, Some(CaProfile::default()), Usages::authority())?;
        let child = sign(&below(&root, child), root_key)?;
        let usages = Usages::parse(&leaf_usages)?.for_leaf(algorithm);
        let leaf = template("web.a.example", leaf_key, None, usages)?;
        let sans =
            SubjectAltNames::parse(&["web.a.example"], &["10.0.0.1"], &none, &["spiffe://a.example/web"])?;
        let leaf = sign(&below(&child, Template { sans, ..leaf }), child_key)?;
        let file = |kind: &str| folder.join(format!("{algorithm}.{kind}.pem"));
        std::fs::write(file("root"), root.to_pem())?;
        std::fs::write(file("child"), child.to_pem())?;
        std::fs::write(file("leaf"), leaf.to_pem())?;
        std::fs::write(file("key"), leaf_key.to_pem(Encoding::Pkcs8)?.as_bytes())?;
        std::fs::write(file("old-key"), leaf_key.to_pem(Encoding::Pkcs1)?.as_bytes())?;
    }
    Ok(())
}

fn generate(algorithm: KeyAlgorithm) -> Result<PrivateKey, Box<dyn Error>> {
    Ok(PrivateKey::generate(algorithm)?)
}

fn template(
    common_name: &str,
    key: &PrivateKey,
    ca: Option<CaProfile>,
    usages: Usages,
) -> Result<Template, Box<dyn Error>> {
    Ok(Template {
        serial: Serial::from_random(key.public_key().key_identifier()),
        subject: DistinguishedName::with_common_name(common_name)?,
        sans: SubjectAltNames::default(),
        public_key: key.public_key().clone(),
        issuer_name: Vec::new(),
        authority_key_identifier: None,
        validity: Validity::new("2025-01-01T00:00:00Z".parse()?, "2055-01-01T00:00:00Z".parse()?)?,
        usages,
        ca,
        crl_distribution_points: vec![],
        ocsp_servers: vec![],
        issuing_certificate_urls: vec![],
    })
}

fn below(issuer: &Certificate, template: Template) -> Template {
    Template {
        issuer_name: issuer.subject_der().to_vec(),
        authority_key_identifier: issuer.subject_key_identifier().map(<[u8]>::to_vec),
        ..template
    }
}

fn sign(template: &Template, key: &PrivateKey) -> Result<Certificate, Box<dyn Error>> {
    let tbs = template.tbs_der(key.algorithm())?;
    Ok(assemble(&tbs, &key.sign(tbs.as_bytes())?)?)
}
