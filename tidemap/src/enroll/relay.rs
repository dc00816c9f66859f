//! The relay's side near its agents: a server that needs no other part of Tidemap.

use anyhow::Context;
use tidemap_broker::keys::{self, RelaySide};
use tidemap_service::cli::{self, say};

use super::{EnrollArgs, reload};
use crate::{data_folder::data_folder, operator::BrokersArgs};

/// Makes the data folder of a server to which agents publish, if there is none yet, and admits the relay
/// there.
pub(super) async fn enroll_locally(args: &EnrollArgs) -> anyhow::Result<()> {
    let dir = data_folder(args.data_dir.clone())?;
    tidemap_broker::prepare(&dir).with_context(|| format!("--data-dir {}", dir.display()))?;
    let dir = dir.canonicalize().context("the data folder")?;
    let enrolled = keys::enroll_relay(&dir, args.node.id(), RelaySide::Reports)?;
    let url = args.nats_url.clone().unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned());
    let brokers = BrokersArgs { nats_url: Some(url), nats_ca: args.nats_ca.clone() };
    let name = args.node.display();
    let running = reload(&dir, &brokers).await.with_context(|| format!("{name} may not be admitted yet"))?;
    match (enrolled.created, running) {
        (false, _) => say(format_args!("{name} was enrolled before. Its key for this server:")),
        (true, true) => {
            say(format_args!("{name} is enrolled, and the server has reloaded. Its key for this server:"));
        }
        (true, false) => say(format_args!(
            "{name} is enrolled. Start the server with `cd {} && nats-server -c nats.conf -sd . -P nats-server.pid -a \
             127.0.0.1 -p 4222`, and enroll agents with this --data-dir. The relay's key for this server:",
            dir.display()
        )),
    }
    cli::print(enrolled.seed_path.display())?;
    Ok(())
}
