//! Prints the resource definitions.

use kube::CustomResourceExt as _;

fn main() {
    println!("{}", serde_json::to_string(&keywright_crds::Certificate::crd()).unwrap_or_default());
    println!("{}", serde_json::to_string(&keywright_crds::Issuer::crd()).unwrap_or_default());
    println!("{}", serde_json::to_string(&keywright_crds::ClusterIssuer::crd()).unwrap_or_default());
}
