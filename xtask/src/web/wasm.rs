//! Compiles the page's program and generates its glue to the browser.

use std::{env, path::PathBuf};

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::{artifacts::Artifacts, tools::WASM_TARGET, workspace::Workspace};

/// The page's program, ready for the browser.
pub(super) struct Page {
    /// The WebAssembly module.
    pub(super) module: Vec<u8>,
    /// The JavaScript module whose default export loads it.
    pub(super) glue: String,
}

/// Compiles `webui/` and generates the glue.
pub(super) fn build(workspace: &Workspace) -> Result<Page> {
    let mut output = Bindgen::new()
        .input_path(compile(workspace)?)
        .web(true)?
        .typescript(false)
        .omit_default_module_path(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate_output()
        .context("wasm-bindgen cannot process the page's program")?;
    let has_snippets = output.snippets().values().any(|inline| !inline.is_empty());
    if has_snippets || !output.local_modules().is_empty() {
        bail!("a dependency of the page has JavaScript of its own, which the page does not bundle");
    }
    Ok(Page { glue: output.js().to_owned(), module: output.wasm_mut().emit_wasm() })
}

/// Compiles the program and returns where cargo put it.
fn compile(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = workspace.cargo(["build", "--package", "tidemap-webui", "--profile", "web"]);
    command.args(["--target", WASM_TARGET]);
    // Panics name their source file. Without this the module, and so its hash, would depend on where the
    // checkout and cargo's registry lie.
    command.env("CARGO_ENCODED_RUSTFLAGS", remapped_paths(workspace).join("\x1f"));
    Ok(Artifacts::build(&mut command)?.file("tidemap_webui", "wasm")?.to_owned())
}

fn remapped_paths(workspace: &Workspace) -> Vec<String> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let mut flags = vec![format!("--remap-path-prefix={}=tidemap", workspace.path("").display())];
    flags.extend(cargo_home.map(|home| format!("--remap-path-prefix={}=cargo", home.display())));
    flags
}
