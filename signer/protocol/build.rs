//! Generates the client and server code from the `.proto`, with a protobuf compiler written in Rust.
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let file = "proto/keywright/signer/v1alpha1/signer.proto";
    println!("cargo::rerun-if-changed={file}");
    let descriptors = protox::compile([file], ["proto"])?;
    tonic_prost_build::configure()
        // All that they hold has it too; the generator derives it only where no list of messages is among the fields.
        .type_attribute("keywright.signer.v1alpha1.Constraints", "#[derive(Eq, Hash)]")
        .compile_fds(descriptors)?;
    Ok(())
}
