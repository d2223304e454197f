//! `crdgen`: writes the YAML of the resource definitions and the API reference, or checks that both are current.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use keywright_crds::render::{self, GeneratedFile};

const USAGE: &str = "usage: crdgen [--check] [ROOT]\n\n\
    Writes charts/keywright/files/crds/*.yaml and docs/reference/api.md below ROOT, the root of the repository\n\
    (default: the current directory). With --check it writes nothing and exits 1 when a file is not current.";

fn main() -> ExitCode {
    let mut check = false;
    let mut root = PathBuf::from(".");
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "--check" => check = true,
            "--help" | "-h" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            path if !path.starts_with('-') => root = path.into(),
            unknown => {
                eprintln!("crdgen: unknown argument {unknown}\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match run(&root, check) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("crdgen: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Writes or checks every generated file below `root`.
fn run(root: &Path, check: bool) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut stale = false;
    for GeneratedFile { path, text } in render::files()? {
        let target = root.join(&path);
        let current = fs::read_to_string(&target).is_ok_and(|found| found == text);
        if current {
            continue;
        }
        if check {
            eprintln!("crdgen: {} is not current", path.display());
            stale = true;
            continue;
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&target, text)?;
        println!("crdgen: wrote {}", path.display());
    }
    if stale {
        eprintln!("crdgen: run `{}` and commit what it writes", render::RENEW);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
