//! Compiles the page's programs and generates their glue to the browser.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::{artifacts::Artifacts, tools::WASM_TARGET, workspace::Workspace};

/// A program, ready for the browser.
pub(super) struct Program {
    /// The WebAssembly module.
    pub(super) module: Vec<u8>,
    /// The JavaScript module whose default export loads it.
    pub(super) glue: String,
}

/// The page's packages that are programs: the page, and what shows the past.
const PACKAGES: [&str; 2] = ["tidemap-webui", "tidemap-past"];

/// Compiles the programs of `webui/` and generates their glue.
pub(super) fn build(workspace: &Workspace) -> Result<[Program; 2]> {
    let [page, past] = compile(workspace)?;
    Ok([with_glue(page)?, with_glue(past)?])
}

fn with_glue(file: PathBuf) -> Result<Program> {
    let mut output = Bindgen::new()
        .input_path(file)
        .web(true)?
        .typescript(false)
        .omit_default_module_path(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate_output()
        .context("wasm-bindgen cannot process a program of the page")?;
    let has_snippets = output.snippets().values().any(|inline| !inline.is_empty());
    if has_snippets || !output.local_modules().is_empty() {
        bail!("a dependency of the page has JavaScript of its own, which the page does not bundle");
    }
    Ok(Program { glue: output.js().to_owned(), module: output.wasm_mut().emit_wasm() })
}

/// Compiles the programs and returns where cargo put them.
fn compile(workspace: &Workspace) -> Result<[PathBuf; 2]> {
    let mut command = workspace.cargo(["build", "--profile", "web"]);
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    command.args(["--target", WASM_TARGET]);
    // Panics name their source file. Without this the module, and so its hash, would depend on where the
    // checkout and cargo's registry lie.
    command.env("CARGO_ENCODED_RUSTFLAGS", workspace.remapped_paths().join("\x1f"));
    let built = Artifacts::build(&mut command)?;
    let file = |package: &str| built.file(&package.replace('-', "_"), "wasm").map(Path::to_owned);
    Ok([file(PACKAGES[0])?, file(PACKAGES[1])?])
}
