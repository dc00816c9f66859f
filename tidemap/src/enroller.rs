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
use tidemap_broker::{invites::KnownInvites, unpublished};
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
    let mut enroller = Enroller { registry, known: KnownInvites::default(), has_published: false };
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
    known: KnownInvites,
    /// Whether this process has made brokers know all that is admitted, once. The one before may have been
    /// stopped between the two.
    has_published: bool,
}

impl Enroller {
    async fn replies(&mut self, requests: Vec<JoinRequest>) -> Vec<JoinReply> {
        let count = requests.len();
        let (registry, mut known) = (self.registry.clone(), std::mem::take(&mut self.known));
        let admit = move || {
            let admitted = admitting::admit_all(&registry, &mut known, &requests, unix_ms());
            (admitted, known)
        };
        let ended = tokio::task::spawn_blocking(admit).await.context("admitting has failed");
        let admitted = ended.and_then(|(admitted, known)| {
            self.known = known;
            admitted
        });
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return vec![failed(&error); count],
        };
        for line in &admitted.log {
            tracing::info!("{line}");
        }
        let is_granted = |reply: &JoinReply| matches!(reply, JoinReply::Granted(_));
        if !admitted.replies.iter().any(is_granted) {
            return admitted.replies;
        }
        match self.tell(admitted.has_news).await {
            Ok(()) => admitted.replies,
            Err(error) => {
                let failed = failed(&error);
                let answered = |reply| if is_granted(&reply) { failed.clone() } else { reply };
                admitted.replies.into_iter().map(answered).collect()
            }
        }
    }

    /// Makes brokers know what was admitted, now or by one who was stopped before it could.
    async fn tell(&mut self, has_news: bool) -> anyhow::Result<()> {
        let folder = self.registry.folder();
        let unpublished = unpublished::read(folder)?;
        if self.has_published && !has_news && unpublished.is_none() {
            return Ok(());
        }
        if let Err(error) = self.registry.tell_brokers(has_news || unpublished.is_some()).await {
            if has_news && unpublished.is_none() {
                // Another enroller has published its own, and cleared the mark.
                unpublished::mark(folder)?;
            }
            return Err(error);
        }
        if let Some(unpublished) = unpublished
            && let Err(error) = unpublished::clear(folder, &unpublished)
        {
            tracing::warn!("what is published is published once more: {error}");
        }
        self.has_published = true;
        Ok(())
    }
}

fn failed(error: &anyhow::Error) -> JoinReply {
    tracing::error!("nodes cannot join: {}", causes(error.as_ref()));
    let detail = "the enroller cannot admit nodes at the moment; its log says why".to_owned();
    JoinReply::Refused { reason: JoinRefusal::Failed, detail }
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
