//! The enroller: admits nodes that join by an invite. `tidemap up` runs it, and `tidemap enroller` is one by
//! itself, beside the data folder of a broker or the folder of an operator.
//!
//! It is where keys are signed, so it takes nothing from the network but requests over the broker, in the
//! account of the services.

mod admitting;
mod registry;

use std::path::PathBuf;

use anyhow::Context;
use async_nats::{Client, Message};
use futures_util::StreamExt;
use tidemap_service::{causes::causes, clock::unix_ms, nats::NatsArgs, service_manager};
use tidemap_wire::{JoinRefusal, JoinReply, JoinRequest, decode, encode, subject};
use tokio_util::sync::CancellationToken;

pub(crate) use registry::Registry;

/// So many requests that have come meanwhile are answered with one change of the broker's users.
const TOGETHER: usize = 64;

/// The options of `tidemap enroller`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct EnrollerArgs {
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    nats: NatsArgs,
}

/// Which folder has the invites, and the keys that admit nodes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct FolderArgs {
    /// Where `tidemap up` keeps its data.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The folder of an operator (`tidemap operator init`), in place of a data folder.
    #[arg(long, env = "TIDEMAP_OPERATOR", value_name = "FOLDER")]
    operator: Option<PathBuf>,
}

/// Runs an enroller by itself until `shutdown`.
pub(crate) async fn run(args: EnrollerArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let registry = Registry::open(&args.folder)?.reached_by(&args.nats)?;
    let mut nats = args.nats;
    nats.creds = nats.creds.or_else(|| Some(registry.service_creds()));
    let client = nats.connect("tidemap-enroller", None).await?;
    tracing::info!(folder = %registry.folder().display(), "admitting nodes that have an invite");
    service_manager::ready();
    serve(registry, client, shutdown).await
}

/// Answers requests until `shutdown`.
pub(crate) async fn serve(
    registry: Registry,
    client: Client,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let requests = client.queue_subscribe(subject::ENROLL, subject::ENROLLERS.to_owned()).await;
    let mut requests = requests.context("cannot take requests")?.ready_chunks(TOGETHER);
    let mut enroller = Enroller { registry, in_force: false, revoked: false };
    while let Some(Some(messages)) = shutdown.run_until_cancelled(requests.next()).await {
        let (requests, inboxes) = readable(messages);
        for (inbox, reply) in inboxes.into_iter().zip(enroller.replies(requests).await) {
            if let Err(error) = client.publish(inbox, encode(&reply).into()).await {
                tracing::warn!("a node that joins gets no answer: {error}");
            }
        }
    }
    Ok(())
}

/// The requests among messages, and where each is answered.
fn readable(messages: Vec<Message>) -> (Vec<JoinRequest>, Vec<async_nats::Subject>) {
    let request = |message: Message| Some((decode(&message.payload).ok()?, message.reply?));
    messages.into_iter().filter_map(request).unzip()
}

struct Enroller {
    registry: Registry,
    /// Whether the brokers know all that is admitted. Not at the start: the one before may have been stopped
    /// between the two.
    in_force: bool,
    /// Whether there are revocations among what they do not know.
    revoked: bool,
}

impl Enroller {
    async fn replies(&mut self, requests: Vec<JoinRequest>) -> Vec<JoinReply> {
        let count = requests.len();
        let failed = |error: &anyhow::Error| {
            tracing::error!("nodes cannot join: {}", causes(error.as_ref()));
            let detail = "the enroller cannot admit nodes at the moment; its log says why".to_owned();
            vec![JoinReply::Refused { reason: JoinRefusal::Failed, detail }; count]
        };
        let registry = self.registry.clone();
        let admit = move || admitting::admit_all(&registry, &requests, unix_ms());
        let admitted = tokio::task::spawn_blocking(admit).await.context("admitting has failed");
        let admitted = match admitted.and_then(|admitted| admitted) {
            Ok(admitted) => admitted,
            Err(error) => return failed(&error),
        };
        for line in &admitted.log {
            tracing::info!("{line}");
        }
        self.in_force &= !admitted.has_news;
        self.revoked |= admitted.has_revoked;
        let grants = admitted.replies.iter().any(|reply| matches!(reply, JoinReply::Granted(_)));
        if grants && !self.in_force {
            match self.registry.tell_brokers(self.revoked).await {
                Ok(()) => (self.in_force, self.revoked) = (true, false),
                Err(error) => return failed(&error),
            }
        }
        admitted.replies
    }
}

impl FolderArgs {
    /// The folder; the default data folder when none is given.
    pub(crate) fn open(&self) -> anyhow::Result<Registry> {
        Registry::open(self)
    }

    /// Whether one is given.
    pub(crate) fn is_given(&self) -> bool {
        self.data_dir.is_some() || self.operator.is_some()
    }
}
