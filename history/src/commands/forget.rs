//! `tidemap history forget`: removes a node from every station's history.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use tidemap_client::{HistoryClient, HistoryRequestError};
use tidemap_service::{
    cli, clock,
    nats::{self, NatsArgs},
};
use tidemap_wire::{NodeId, NodeName};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::file_in;
use crate::{folder::Folder, store::Store};

/// How long to wait for the broker.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// Which node, and where.
#[derive(clap::Args, Clone, Debug)]
pub struct ForgetArgs {
    /// The node's name.
    #[arg(value_name = "NODE", value_parser = NodeName::parse)]
    node: NodeName,
    /// Remove it from the history in this folder instead, whose station does not run.
    #[arg(long, value_name = "FOLDER")]
    history_dir: Option<PathBuf>,
    #[command(flatten)]
    nats: NatsArgs,
}

impl ForgetArgs {
    pub(super) async fn run(self, stop: &CancellationToken) -> anyhow::Result<()> {
        let name = self.node.display().to_owned();
        let ids: Vec<NodeId> = [self.node.id()].into_iter().chain(self.node.earlier_id()).cloned().collect();
        if let Some(folder) = self.history_dir {
            file_in(Some(folder.clone()), None)?;
            let is_known = spawn_blocking(move || forget_in(&Folder::lock(&folder)?, &ids)).await??;
            let what = if is_known { "is forgotten" } else { "was not known" };
            cli::print(format_args!("{name} {what}"))?;
            return Ok(());
        }
        let client = self.nats.connect("tidemap-history-forget", None).await?;
        let asked = async {
            nats::reached(&client, BROKER_TIMEOUT).await?;
            let history = HistoryClient::new(client.clone());
            let (mut stations, mut forgotten) = (0, 0);
            for id in ids {
                let heard = history.forget(id).await?;
                stations = stations.max(heard.len());
                forgotten = forgotten.max(heard.iter().filter(|is_known| **is_known).count());
            }
            Ok::<_, anyhow::Error>((stations, forgotten))
        };
        let (stations, forgotten) = match stop.run_until_cancelled(asked).await.context("interrupted")? {
            Err(error) if matches!(error.downcast_ref(), Some(HistoryRequestError::NoStation)) => {
                return Err(error.context(format!(
                    "{name} stays: give --history-dir FOLDER to remove it while no station runs"
                )));
            }
            answered => answered?,
        };
        ensure!(forgotten > 0, "{name}: no history knows it ({})", count(stations));
        cli::print(format_args!("{name} is forgotten by {}", count(forgotten)))?;
        Ok(())
    }
}

fn forget_in(folder: &Folder, ids: &[NodeId]) -> anyhow::Result<bool> {
    let file = folder.file();
    let mut store = Store::open(&file).with_context(|| format!("{}", file.display()))?;
    let mut is_known = false;
    for id in ids {
        is_known |= store.forget(id, clock::unix_ms())?;
    }
    Ok(is_known)
}

/// A number of stations in words.
fn count(stations: usize) -> String {
    if stations == 1 { "1 station".to_owned() } else { format!("{stations} stations") }
}
