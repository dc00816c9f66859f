//! `tidemap doctor`: whether the host with the broker, the broker, the API and the fleet are as they should
//! be, and what to do where they are not.

mod broker;
mod finding;
mod fleet;
mod host;

use std::path::PathBuf;

use anyhow::bail;
use tidemap_service::cli;

use crate::{
    api_answer::{self, ApiAddressArgs},
    data_folder::data_folder,
    operator::BrokersArgs,
};
use finding::Finding;

/// Where to look.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DoctorArgs {
    /// Where `tidemap up` keeps its data.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    brokers: BrokersArgs,
    #[command(flatten)]
    api: ApiAddressArgs,
}

/// Prints what is found, and fails when something is wrong.
pub(crate) async fn run(args: DoctorArgs) -> anyhow::Result<()> {
    let dir = data_folder(args.data_dir)?;
    let here = dir.clone();
    let mut findings = api_answer::asked(move || Ok(host::examine(&here))).await?;
    if dir.join("keys").is_dir() {
        findings.extend(broker::examine(&dir, args.brokers.at(&dir)).await);
    }
    let api = args.api.at(&dir);
    findings.extend(api_answer::asked(move || Ok(fleet::examine(&api))).await?);
    cli::print(findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n"))?;
    match findings.iter().filter(|finding| finding.is_wrong()).count() {
        0 => Ok(()),
        wrong => bail!("{wrong} of {} checks found something wrong", findings.len()),
    }
}
