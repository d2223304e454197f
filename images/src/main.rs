//! Writes one OCI archive for each of the product's static binaries, and its bill of materials, without a container
//! engine. The same inputs give the same bytes, so a digest can be checked by whoever builds again.
//!
//! ```text
//! binaries  what is shipped, and how it is started        closure  the crates in a binary, of Cargo.lock and cargo metadata
//! layout    layer, configuration, manifest, index, tar    sbom     the same as CycloneDX
//! ```

mod binaries;
mod closure;
mod error;
mod layout;
mod sbom;

use binaries::{BINARIES, Binary};
use clap::Parser;
use closure::Closure;
use error::Error;
use jiff::Timestamp;
use layout::Image;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes NAME.oci.tar and NAME.cdx.json for each binary of the product that is found.
#[derive(Debug, Parser)]
#[command(name = "keywright-images", version)]
struct Arguments {
    /// The checkout: its Cargo.lock says what is in the binaries.
    #[arg(long, default_value = ".")]
    checkout: PathBuf,
    /// Folder of the static binaries.
    #[arg(long)]
    binaries: PathBuf,
    /// Target triple they were built for.
    #[arg(long)]
    target: String,
    /// Features they were built with, as cargo names them: what these bring stands in the bills of materials.
    #[arg(long, default_value = "")]
    features: String,
    /// Folder to write to.
    #[arg(long)]
    out: PathBuf,
    /// What stands before the image's name, such as registry.example.com/security.
    #[arg(long, default_value = "keywright.dev")]
    registry: String,
    /// Tag; the version of this build when absent.
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
    /// Time of everything in the images, in seconds since the epoch: that of the commit, never that of the build.
    #[arg(long, env = "SOURCE_DATE_EPOCH")]
    created: i64,
    /// The commit, for the label org.opencontainers.image.revision.
    #[arg(long, default_value = "unknown")]
    revision: String,
}

fn main() -> ExitCode {
    match write(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(arguments: &Arguments) -> Result<(), Error> {
    let created = Timestamp::from_second(arguments.created).map_err(Error::Created)?;
    let closure = Closure::of(&arguments.checkout, &arguments.target, &arguments.features)?;
    std::fs::create_dir_all(&arguments.out).map_err(Error::file("make", &arguments.out))?;
    for binary in BINARIES {
        let path = arguments.binaries.join(binary.name);
        let program = std::fs::read(&path).map_err(Error::file("read", &path))?;
        let bom = sbom::cyclonedx(binary, &closure.crates_of(binary.package)?, &program, created);
        let image = Image {
            reference: format!("{}/{}:{}", arguments.registry, binary.name, arguments.tag),
            architecture: architecture(&arguments.target)?,
            labels: labels(binary, arguments, created),
            command: binary,
            program: &program,
            bom: bom.as_bytes(),
            created,
        };
        let (archive, digest) = image.archive()?;
        save(&arguments.out, &format!("{}.cdx.json", binary.name), bom.as_bytes())?;
        save(&arguments.out, &format!("{}.oci.tar", binary.name), &archive)?;
        save(&arguments.out, &format!("{}.digest", binary.name), format!("{digest}\n").as_bytes())?;
        println!("{} {digest} {} KiB", image.reference, archive.len() / 1024);
    }
    Ok(())
}

fn save(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).map_err(Error::file("write", &path))
}

/// As OCI calls it. Errors: a target that no image is made for.
fn architecture(target: &str) -> Result<&'static str, Error> {
    match target.split('-').next() {
        Some("x86_64") => Ok("amd64"),
        Some("aarch64") => Ok("arm64"),
        _ => Err(Error::Target(target.to_owned())),
    }
}

/// The standard annotations of OCI, as labels.
fn labels(binary: &Binary, arguments: &Arguments, created: Timestamp) -> Vec<(&'static str, String)> {
    vec![
        ("org.opencontainers.image.created", created.to_string()),
        ("org.opencontainers.image.description", binary.description.to_owned()),
        ("org.opencontainers.image.licenses", "Apache-2.0".to_owned()),
        ("org.opencontainers.image.revision", arguments.revision.clone()),
        ("org.opencontainers.image.title", binary.name.to_owned()),
        ("org.opencontainers.image.version", env!("CARGO_PKG_VERSION").to_owned()),
    ]
}
