//! The scripts for Argo CD, run as Argo CD runs them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

use mlua::{Lua, LuaOptions, LuaSerdeExt, StdLib};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the kinds' folders are.
pub(crate) fn kinds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("gitops/argo-cd/keywright.dev")
}

pub(crate) fn text(script: &Path) -> String {
    fs::read_to_string(script).unwrap_or_else(|error| panic!("{}: {error}", script.display()))
}

/// What the script makes of the object. With the libraries that Argo CD gives to scripts of its ConfigMap, and no others.
pub(crate) fn run(script: &Path, object: &Value) -> Value {
    run_text(&text(script), object).unwrap_or_else(|error| panic!("{}: {error}", script.display()))
}

pub(crate) fn run_text(script: &str, object: &Value) -> mlua::Result<Value> {
    let lua = Lua::new_with(StdLib::TABLE | StdLib::OS, LuaOptions::default())?;
    lua.globals().set("obj", lua.to_value(object)?)?;
    let made: mlua::Value = lua.load(script).eval()?;
    lua.from_value(made)
}
