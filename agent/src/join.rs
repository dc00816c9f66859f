//! `join`: makes this host's key here, has it admitted with an invite, and writes down how the agent starts.
//!
//! The key never leaves this host, nor does the invite: what is sent proves that its word is known, and so
//! does what comes back. An agent that runs has no part in this.

mod ask;
mod env_file;
mod files;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context;
use nkeys::KeyPair;
use tidemap_service::{
    cli::{self, UsageError, say},
    invite::Invite,
    nats,
};
use tidemap_wire::{JoinGrant, NodeName};
use tokio_util::sync::CancellationToken;

use crate::{args, host_name::host_name};
use ask::{Api, Refused};
use env_file::EnvFile;

/// What is in the folder: the key or the credentials, how the agent starts, and the broker's authority. The
/// systemd unit names the first two.
const KEY: &str = "agent.nk";
const SETTINGS: &str = "agent.env";
const AUTHORITY: &str = "broker-ca.pem";
/// A key that is not admitted yet, and for what. An attempt that was interrupted goes on with it, so that it
/// takes one use of the invite.
const NEW_KEY: &str = "agent.nk.joining";

/// Where to join, and as what.
#[derive(clap::Args, Clone, Debug)]
pub struct JoinArgs {
    /// The API's address, of https:// as well as of http://.
    #[arg(value_name = "URL")]
    url: String,
    /// The word that `tidemap invite` has printed.
    #[arg(env = "TIDEMAP_INVITE", hide_env_values = true, value_name = "INVITE")]
    invite: String,
    /// This node's name; the hostname unless given.
    #[arg(long, env = "NODE_NAME", value_name = "NAME", value_parser = NodeName::parse)]
    node: Option<NodeName>,
    /// A label, `key=value`, beside those of the invite; may be repeated.
    #[arg(long = "label", alias = "labels", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = args::label)]
    labels: Vec<(String, String)>,
    /// Where the key and the settings are written.
    #[arg(long, default_value = "/etc/tidemap", value_name = "FOLDER")]
    config_dir: PathBuf,
    /// Certificate authority of the API's certificate (PEM); those that this system trusts, unless given.
    #[arg(long, env = "TIDEMAP_API_CA", value_name = "FILE")]
    api_ca: Option<PathBuf>,
    /// Join again, with a new key, although there is one here.
    #[arg(long)]
    rejoin: bool,
}

/// Joins, unless this host has.
pub(crate) async fn run(args: JoinArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let joining = tokio::task::spawn_blocking(move || join(&args));
    match shutdown.run_until_cancelled(joining).await {
        Some(joined) => joined.context("the attempt has failed")?,
        None => anyhow::bail!("interrupted: the same command goes on with it"),
    }
}

fn join(args: &JoinArgs) -> anyhow::Result<()> {
    let invite = Invite::parse(&args.invite).map_err(|error| UsageError(error.to_string()))?;
    let api = Api::new(&args.url, args.api_ca.as_deref())?;
    let path = |name: &str| args.config_dir.join(name);
    if path(KEY).exists() && !args.rejoin {
        say(format_args!(
            "this host has joined before: its key is {}; --rejoin makes another",
            path(KEY).display()
        ));
        return Ok(());
    }
    files::create_folder(&args.config_dir)?;
    let mut settings = EnvFile::parse(&files::read(&path(SETTINGS))?.unwrap_or_default());
    let name = name(args, &settings)?;
    let unfinished = path(NEW_KEY);
    let purpose = format!("{} {}", invite.id(), name.display());
    let (key, grant) = match unfinished_key(&unfinished, &purpose)? {
        Some(key) => match api.join(&invite, name.display(), &key) {
            // It was admitted, perhaps, and revoked since: it is of no more use.
            Err(error) if error.is::<Refused>() => with_new_key(&api, &invite, &name, &unfinished, &purpose)?,
            grant => (key, grant?),
        },
        None => with_new_key(&api, &invite, &name, &unfinished, &purpose)?,
    };
    nats::addresses("the broker's address", &grant.url)?;

    match &grant.authority {
        Some(authority) => {
            files::write(&path(AUTHORITY), authority, files::Readers::Everybody)?;
            settings.set("TIDEMAP_NATS_CA", &path(AUTHORITY).display().to_string());
        }
        None => settings.remove("TIDEMAP_NATS_CA"),
    }
    settings.set("TIDEMAP_NATS_URL", &grant.url);
    settings.set("NODE_NAME", name.display());
    let labels = labels(settings.get("TIDEMAP_LABELS"), &grant, &args.labels);
    if !labels.is_empty() {
        settings.set("TIDEMAP_LABELS", &labels);
    }
    files::write(&path(SETTINGS), &settings.text(), files::Readers::AsBefore)?;
    let seed = key.seed().context("the new key has no seed")?;
    let secret = match &grant.token {
        Some(token) => nats::credentials(token, &seed),
        None => format!("{seed}\n"),
    };
    // Last: with the key there, this host has joined.
    files::write(&path(KEY), &secret, files::Readers::Owner)?;
    files::remove(&path(NEW_KEY))?;
    let [settings, key] = [SETTINGS, KEY].map(|name| cli::quoted(&path(name).display().to_string()));
    say(format_args!(
        "{} has joined. Its agent starts with `systemctl enable --now tidemap-agent` where its unit is installed, and \
         elsewhere with `set -a && . {settings} && tidemap-agent --creds {key}`",
        name.display()
    ));
    Ok(())
}

/// The name that is given here, or in the settings, or that of this host.
fn name(args: &JoinArgs, settings: &EnvFile) -> anyhow::Result<NodeName> {
    if let Some(name) = &args.node {
        return Ok(name.clone());
    }
    let known = settings.get("NODE_NAME").filter(|name| !name.is_empty()).or_else(host_name);
    let known = known.ok_or_else(|| UsageError("--node: this host has no name".to_owned()))?;
    NodeName::parse(&known).map_err(|error| UsageError(format!("--node {known}: {error}")).into())
}

/// The key that an interrupted attempt for the same purpose has left.
fn unfinished_key(path: &Path, purpose: &str) -> anyhow::Result<Option<KeyPair>> {
    let left = files::read(path)?.unwrap_or_default();
    let seed = left.split_once('\n').filter(|(_, of)| of.trim() == purpose).map(|(seed, _)| seed);
    Ok(seed.and_then(|seed| KeyPair::from_seed(seed).ok()))
}

/// Joins with a key that is made here. It stays for the next attempt, unless it is refused.
fn with_new_key(
    api: &Api,
    invite: &Invite,
    name: &NodeName,
    path: &Path,
    purpose: &str,
) -> anyhow::Result<(KeyPair, JoinGrant)> {
    let key = KeyPair::new_user();
    let seed = key.seed().context("the new key has no seed")?;
    files::write(path, &format!("{seed}\n{purpose}\n"), files::Readers::Owner)?;
    let granted = api.join(invite, name.display(), &key);
    if granted.as_ref().is_err_and(|error| error.is::<Refused>()) {
        files::remove(path)?;
    }
    Ok((key, granted?))
}

/// Labels as the agent takes them: the host's own, then the invite's, then those that are given; the last one
/// of a key counts.
fn labels(own: Option<String>, grant: &JoinGrant, given: &[(String, String)]) -> String {
    let mut all = BTreeMap::new();
    let own = own.unwrap_or_default();
    let pairs = own.split(',').filter_map(|pair| pair.split_once('='));
    all.extend(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
    all.extend(grant.labels.clone());
    all.extend(given.iter().cloned());
    let pairs: Vec<String> = all.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests;
