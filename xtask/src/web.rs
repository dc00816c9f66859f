//! `cargo xtask web`: the page, from its sources to the files that the API embeds.
//!
//! `dist/web` holds `index.html`, the files that it names, each with a hash of its content in its name, and a
//! gzip form of every file. The folder is replaced as a whole, and only when its content changes, because the
//! API is built again after a change.

mod budget;
mod bundle;
mod css;
mod inputs;
mod publish;
mod template;
mod wasm;

use std::{
    fs::{self, File},
    path::Path,
};

use anyhow::{Context, Result};

use crate::{basemap, tools, workspace::Workspace};
use bundle::{Bundle, Kind};

const FOLDER: &str = "dist/web";

/// The style sheets of the first paint, in the order of their cascade layers.
const STYLES: [&str; 4] = ["tokens", "base", "components", "map"];
/// Those of what is not there when the page opens.
const DETAILS: &[&str] = &["details", "past", "traffic", "events"];

/// Builds the page, prints the sizes of its files, and fails when they exceed the budget.
pub(crate) fn build_within_budget(workspace: &Workspace) -> Result<()> {
    build(workspace)?;
    let weights = budget::weigh(&workspace.path(FOLDER))?;
    print!("{}", budget::table(&weights));
    budget::check(&weights)
}

/// Builds the page when its sources have changed.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    fs::create_dir_all(workspace.path("dist"))?;
    // Two builds at once would write into the same folder; the second waits.
    let lock = File::create(workspace.path("dist/web.lock"))?;
    lock.lock()?;

    let (folder, stamp) = (workspace.path(FOLDER), workspace.path("dist/web.stamp"));
    let inputs = inputs::digest(workspace)?;
    if folder.join("index.html").exists() && fs::read_to_string(&stamp).is_ok_and(|built| built == inputs) {
        return Ok(());
    }
    tools::ensure_wasm_target(workspace)?;
    publish::replace(&folder, &assemble(workspace)?)?;
    fs::write(stamp, inputs)?;
    Ok(())
}

fn assemble(workspace: &Workspace) -> Result<Bundle> {
    let webui = workspace.path("webui");
    let [page, past] = wasm::build(workspace)?;
    let mut bundle = Bundle::default();
    bundle.add(Kind::Css, "app", "css", css::condensed(&styles(&webui, &STYLES)?).into_bytes());
    for (kind, sheets) in [(Kind::Details, DETAILS), (Kind::Modes, &["modes"])] {
        let sheet = css::condensed(&styles(&webui, sheets)?);
        bundle.add(kind, sheets[0], "css", sheet.into_bytes());
    }
    bundle.add(Kind::Glue, "glue", "js", page.glue.into_bytes());
    bundle.add(Kind::Wasm, "app", "wasm", page.module);
    bundle.add(Kind::PastGlue, "past", "js", past.glue.into_bytes());
    bundle.add(Kind::PastWasm, "past", "wasm", past.module);
    bundle.add(Kind::World110, "world-110", "bin", world(&webui, "110m")?);
    bundle.add(Kind::World50, "world-50", "bin", world(&webui, "50m")?);
    bundle.add(Kind::Stream, "stream", "js", read(webui.join("stream.js"))?.into_bytes());
    bundle.add(Kind::Fill, "fill", "js", read(webui.join("fill.js"))?.into_bytes());
    bundle.add(Kind::Favicon, "favicon", "svg", read(webui.join("favicon.svg"))?.into_bytes());

    let boot = template::fill(&read(webui.join("boot.js"))?, |name| bundle.path_of(name))
        .context("webui/boot.js")?;
    bundle.add(Kind::Boot, "boot", "js", boot.into_bytes());
    let index = template::fill(&read(webui.join("index.html"))?, |name| bundle.path_of(name));
    bundle.add_unhashed(Kind::Index, "index.html", index.context("webui/index.html")?.into_bytes());
    Ok(bundle)
}

fn styles(webui: &Path, names: &[&str]) -> Result<String> {
    names.iter().map(|name| read(webui.join("styles").join(name).with_extension("css"))).collect()
}

fn world(webui: &Path, scale: &str) -> Result<Vec<u8>> {
    let name = format!("world/countries-{scale}.json");
    basemap::pack(&read(webui.join(&name))?).with_context(|| format!("cannot pack webui/{name}"))
}

fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
