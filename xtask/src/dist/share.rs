//! What packages have below `share`: manual pages, completions, documents.

use std::fs;

use anyhow::{Result, bail};

use super::{
    Release, TIDEMAP, broker::Broker, components::Component, licences, platform::Platform, sbom, tree::Tree,
};
use crate::workspace::output;

/// Shells, and where each looks for the completions of a command.
const COMPLETIONS: [(&str, &str, &str, &str); 3] = [
    ("bash", "bash-completion/completions/", "", ""),
    ("zsh", "zsh/site-functions/", "_", ""),
    ("fish", "fish/vendor_completions.d/", "", ".fish"),
];

/// What there is for one of the two programs.
pub(super) fn make(
    release: &Release<'_>,
    platform: Platform,
    program: &str,
    components: &[Component],
    broker: Option<&Broker>,
) -> Result<Tree> {
    let workspace = release.workspace;
    let mut tree = Tree::default();
    described(release, program, &mut tree)?;
    let mut document = |name: &str, text: &[u8]| -> Result<()> {
        tree.text(format!("doc/{program}/{name}.gz"), release.gzip(text)?);
        Ok(())
    };
    document("changelog", &fs::read(workspace.path("CHANGELOG.md"))?)?;
    document("third-party.txt", licences::text(components, broker)?.as_bytes())?;
    document("sbom.cdx.json", sbom::document(&release.identity, platform, program, components)?.as_bytes())?;
    Ok(tree)
}

/// Manual pages and completions, from the definition of the command line.
fn described(release: &Release<'_>, program: &str, tree: &mut Tree) -> Result<()> {
    let workspace = release.workspace;
    let pages = release.stage("man");
    if pages.exists() {
        fs::remove_dir_all(&pages)?;
    }
    // A variable of this machine is no default of anybody else's.
    let ask = || {
        let mut command = workspace.command(&release.describer);
        command.env_clear();
        command
    };
    output(ask().arg("manual").arg(&pages).args(["--program", program]))?;
    for page in fs::read_dir(&pages)? {
        let page = page?;
        let name = page.file_name();
        // Those of the agent's own package, not of the command that does the same.
        if program == TIDEMAP && name.to_string_lossy().starts_with("tidemap-agent") {
            continue;
        }
        let packed = release.gzip(&fs::read(page.path())?)?;
        tree.text(format!("man/man1/{}.gz", name.to_string_lossy()), packed);
    }
    for (shell, folder, before, after) in COMPLETIONS {
        let script = output(ask().args(["completions", shell, "--program", program]))?;
        if script.is_empty() {
            bail!("no completions for {shell}");
        }
        tree.text(format!("{folder}{before}{program}{after}"), script);
    }
    Ok(())
}
