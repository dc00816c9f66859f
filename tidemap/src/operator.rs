//! `tidemap operator`: keys that sign which nodes may connect, for fleets of more than a few thousand nodes.

mod given;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use async_nats::Client;
use tidemap_broker::jwt::{self, EnrollKey, Operator};
use tidemap_service::{
    cli::say,
    clock::unix_ms,
    nats::{self, NatsArgs},
};

use crate::listen;

/// The broker's address unless it is given.
const DEFAULT_URL: &str = "nats://127.0.0.1:4222";
/// How long to wait for the broker.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// What to do with the operator's folder.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum OperatorCommand {
    /// Creates the operator's keys and accounts, the services' credentials, and the brokers' configuration.
    Init {
        /// The operator's folder.
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
        /// Replaces the enrolling key: nodes that the old one enrolled are revoked, and must be enrolled
        /// again one by one.
        #[arg(long)]
        renew_enroll_key: bool,
        /// Take over the files of an operator's folder that lie beside each other here, such as a mounted
        /// Secret of Kubernetes; what the folder has already stays.
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
    },
    /// Publishes what the operator has signed to running brokers.
    Push {
        /// The operator's folder.
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
        #[command(flatten)]
        brokers: BrokersArgs,
    },
}

/// Where the running brokers are.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct BrokersArgs {
    /// The broker's address, this host's port 4222 unless given; one of a cluster informs the others.
    #[arg(long, env = "TIDEMAP_NATS_URL", value_name = "URL")]
    pub(crate) nats_url: Option<String>,
    /// Certificate authority of the broker's certificate (PEM), when it is not a public one.
    #[arg(long, env = "TIDEMAP_NATS_CA", value_name = "FILE")]
    pub(crate) nats_ca: Option<PathBuf>,
}

pub(crate) async fn run(command: OperatorCommand) -> anyhow::Result<()> {
    match command {
        OperatorCommand::Init { folder, renew_enroll_key, from } => {
            if let Some(from) = from {
                given::take_over(&from, &folder)?;
            }
            init(&folder, renew_enroll_key)
        }
        OperatorCommand::Push { folder, brokers } => {
            let heard = push(&Operator::open(&folder)?, &brokers).await?;
            say(format_args!("{} updated", count(heard)));
            Ok(())
        }
    }
}

impl BrokersArgs {
    /// The broker of a data folder, unless another one is given.
    pub(crate) fn at(mut self, dir: &Path) -> Self {
        if self.nats_url.is_none()
            && let Some(url) = listen::endpoint(dir)
        {
            self.nats_url = Some(url);
            self.nats_ca = self.nats_ca.or_else(|| listen::authority_path(dir));
        }
        self
    }

    /// A connection to the broker with an operator's key or credentials.
    pub(crate) async fn reach(&self, creds: &Path) -> anyhow::Result<Client> {
        let url = self.nats_url.as_deref().unwrap_or(DEFAULT_URL);
        let mut args = NatsArgs::new(url, Some(creds));
        args.nats_ca = self.nats_ca.clone();
        let client = args.connect("tidemap-operator", None).await?;
        nats::reached(&client, BROKER_TIMEOUT).await?;
        Ok(client)
    }
}

/// Publishes what is signed to the brokers, with the revocations that they have from a copy of this folder.
/// Returns how many have accepted it.
pub(crate) async fn push(operator: &Operator, brokers: &BrokersArgs) -> anyhow::Result<usize> {
    let client = brokers.reach(&operator.sys_creds_path()).await?;
    let known = jwt::known_token(&client, &operator.agents_account()?).await?;
    operator.unite_revocations(&known, now_s())?;
    jwt::push(&client, &operator.accounts_tokens()?).await
}

/// A number of brokers in words.
pub(crate) fn count(brokers: usize) -> String {
    if brokers == 1 { "1 broker".to_owned() } else { format!("{brokers} brokers") }
}

/// The present time in Unix seconds, as in tokens.
pub(crate) fn now_s() -> i64 {
    unix_ms() / 1000
}

fn init(folder: &Path, renew_enroll_key: bool) -> anyhow::Result<()> {
    let enroll_key = if renew_enroll_key { EnrollKey::Renew } else { EnrollKey::Keep };
    Operator::open_or_create(folder, enroll_key, now_s())?;
    let folder = folder.canonicalize().context("the operator's folder")?;
    let operator = Operator::open(&folder)?;
    say(format_args!(
        "The operator's keys are in {}: they control the whole fleet, so keep them secret.",
        folder.display()
    ));
    say(format_args!("Brokers start with      {}", operator.configuration_path().display()));
    say(format_args!("Services take --creds   {}", operator.service_creds_path().display()));
    say(format_args!(
        "Enroll a node with      tidemap enroll NODE --operator {} --nats-url URL",
        folder.display()
    ));
    if renew_enroll_key {
        say(format_args!(
            "Nodes are revoked once the brokers know: tidemap operator push {}",
            folder.display()
        ));
    }
    Ok(())
}
