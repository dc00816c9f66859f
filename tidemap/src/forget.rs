//! `tidemap forget`: a node leaves the list, and if wanted the history. Its key stays as it is.

use std::path::PathBuf;

use anyhow::Context;
use tidemap_broker::keys;
use tidemap_client::HistoryClient;
use tidemap_service::cli::say;
use tidemap_wire::{NodeId, NodeName};

use crate::{
    api_answer::{self, ApiAddressArgs, Missing},
    data_folder::data_folder,
    operator::BrokersArgs,
};

/// Which node, and from what.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ForgetArgs {
    /// The node's name.
    #[arg(value_name = "NODE", value_parser = NodeName::parse)]
    node: NodeName,
    /// Remove what every history station that runs knows of it, too. What it moved stays in the sums of the
    /// fleet and of groups.
    #[arg(long)]
    history: bool,
    /// Where `tidemap up` keeps its data: for the API's token, and the key to the history.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    brokers: BrokersArgs,
    #[command(flatten)]
    api: ApiAddressArgs,
}

pub(crate) async fn run(args: ForgetArgs) -> anyhow::Result<()> {
    let name = args.node.display();
    let dir = data_folder(args.data_dir)?;
    let api = args.api.at(&dir);
    let path = format!("/api/nodes/{}", args.node.id());
    let listed = api_answer::asked(move || api.delete(&path)).await;
    if !args.history {
        listed?;
        say(format_args!(
            "{name} is no longer listed; it comes back if its agent runs (tidemap revoke ends that)"
        ));
        return Ok(());
    }
    let ids: Vec<&NodeId> = [args.node.id()].into_iter().chain(args.node.earlier_id()).collect();
    let client = args.brokers.at(&dir).reach(&keys::service_seed_path(&dir)).await?;
    let history = HistoryClient::new(client);
    let mut stations = 0;
    for id in ids {
        let heard = history.forget(id.clone()).await.context("the history stations")?;
        stations = stations.max(heard.iter().filter(|is_known| **is_known).count());
    }
    say(format_args!("{stations} history stations have removed {name}"));
    match listed {
        // It left the list long ago.
        Err(error) if error.is::<Missing>() && stations > 0 => Ok(()),
        listed => listed,
    }
}
