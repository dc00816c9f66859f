//! `tidemap enroll` and `tidemap revoke`: which nodes may publish, and which relays may publish packs.
//!
//! Either by a line in the broker's users or, with `--operator`, by a signature.

mod forget;
mod labels;
mod line;
mod relay;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use tidemap_agent::AgentArgs;
use tidemap_broker::{
    Reload, invites,
    jwt::{Operator, Revocation},
    keys::{self, RelaySide},
};
use tidemap_service::{
    cli::{self, UsageError, say},
    clock::unix_ms,
    nats,
};
use tidemap_wire::{NodeId, NodeName};

use crate::{
    data_folder::data_folder,
    listen,
    operator::{self, BrokersArgs},
};
use line::Line;

/// Which node, and where its agent will find the broker.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct EnrollArgs {
    /// The node's name, such as its host name; with --relay, the relay's.
    #[arg(value_name = "NODE", value_parser = NodeName::parse)]
    node: NodeName,
    /// Enroll a relay, which packs the reports of many nodes.
    #[arg(long, conflicts_with = "labels")]
    relay: bool,
    /// Allow the relay to receive all reports at the server that this data folder is for, which needs no
    /// other part of Tidemap.
    #[arg(long, requires = "relay", conflicts_with = "operator")]
    local: bool,
    /// A label, `key=value`, for the agent's line, and for the next one unless others are given; may be
    /// repeated.
    #[arg(long = "label", alias = "labels", value_name = "KEY=VALUE", value_delimiter = ',')]
    labels: Vec<String>,
    /// The broker's address as the node reaches it; that of `tidemap up` unless given.
    #[arg(long, env = "TIDEMAP_NATS_URL", value_name = "URL")]
    nats_url: Option<String>,
    /// Certificate authority of the broker's certificate (PEM); that of `tidemap up` unless given.
    #[arg(long, env = "TIDEMAP_NATS_CA", value_name = "FILE")]
    nats_ca: Option<PathBuf>,
    /// Where `tidemap up` keeps its data.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The folder of an operator (`tidemap operator init`): the node is enrolled by its signature, offline.
    #[arg(long, env = "TIDEMAP_OPERATOR", value_name = "FOLDER")]
    operator: Option<PathBuf>,
}

/// Which node.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct RevokeArgs {
    /// The node's name; with --relay, the relay's.
    #[arg(value_name = "NODE", value_parser = NodeName::parse)]
    node: NodeName,
    /// Revoke a relay.
    #[arg(long)]
    relay: bool,
    /// Where `tidemap up` keeps its data.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The folder of an operator (`tidemap operator init`), when the node was enrolled by its signature.
    #[arg(long, env = "TIDEMAP_OPERATOR", value_name = "FOLDER")]
    operator: Option<PathBuf>,
    /// The node's public key, when it was enrolled with an operator's folder on another host.
    #[arg(long, value_name = "U…", requires = "operator")]
    key: Option<String>,
    #[command(flatten)]
    brokers: BrokersArgs,
}

/// Makes the node's key, admits it, and prints the line that starts its agent.
pub(crate) async fn enroll(args: &EnrollArgs) -> anyhow::Result<()> {
    args.labels.iter().try_for_each(|label| accepted(label))?;
    if let Some(url) = &args.nats_url {
        nats::addresses("--nats-url", url)?;
    }
    if args.local {
        return relay::enroll_locally(args).await;
    }
    let (line, state, key) = match &args.operator {
        Some(folder) => sign(args, &Operator::open(folder)?)?,
        None => add(args, &data_dir(args.data_dir.clone())?).await?,
    };
    let node = cli::quoted(args.node.display());
    let what = if args.relay { "the relay" } else { "its agent" };
    say(format_args!(
        "{node} {state}. On that host, start {what} with this line (the key in it is a secret):"
    ));
    if args.operator.is_none() && line.url.starts_with("nats://127.") {
        say(format_args!(
            "(the broker listens on this host only; for others start it with `tidemap up --listen 0.0.0.0`)"
        ));
    }
    if args.relay {
        say(format_args!(
            "(it also needs TIDEMAP_LOCAL_URL and TIDEMAP_LOCAL_CREDS: the server near the agents, and the key that \
             `tidemap enroll --relay --local -- {node}` makes there)"
        ));
        cli::print(line.render_relay(args.node.display()))?;
    } else {
        cli::print(line.render(args.node.display(), &labels::given_or_kept(&key, &args.labels)?))?;
    }
    Ok(())
}

/// Revokes the node's agent, at once when the broker runs, and has the node forgotten.
pub(crate) async fn revoke(args: &RevokeArgs) -> anyhow::Result<()> {
    let name = args.node.display();
    let Some(folder) = &args.operator else {
        let dir = data_dir(args.data_dir.clone())?;
        let revoke = if args.relay { keys::revoke_relay } else { keys::revoke };
        let mut known = false;
        settle_invites(&dir, &args.node);
        for id in ids(&args.node) {
            known |= revoke(&dir, id)?;
        }
        let state = if known { "is revoked" } else { "was not enrolled" };
        anyhow::ensure!(
            reload(&dir, &args.brokers).await.with_context(|| format!("{name} may still be admitted"))?,
            "{name} {state}, but no broker runs here: it takes effect when the broker starts; if the broker runs elsewhere or \
             was started by hand, make it reload its configuration"
        );
        say(format_args!("{name} {state}"));
        if args.relay {
            say(relay_keeps(name));
        } else {
            note_of_invites(&dir, &args.node);
            let brokers = args.brokers.clone().at(&dir);
            forget::from_list(name, ids(&args.node), &brokers, &keys::service_seed_path(&dir)).await;
        }
        return Ok(());
    };
    let operator = Operator::open(folder)?;
    settle_invites(folder, &args.node);
    let state = sign_revocation(args, &operator)?;
    // Even if nothing is new: an earlier call may not have reached the brokers.
    let brokers = operator::push(&operator, &args.brokers).await.with_context(|| {
        format!("{name}'s credentials are revoked, but brokers may not know yet: run `tidemap operator push`")
    })?;
    say(format_args!("{name} {state}; {} updated", operator::count(brokers)));
    if args.relay {
        say(relay_keeps(name));
    } else {
        note_of_invites(folder, &args.node);
        forget::from_list(name, ids(&args.node), &args.brokers, &operator.service_creds_path()).await;
    }
    Ok(())
}

/// Before it is revoked, so that no request of before comes in again. Revoking does not depend on it.
fn settle_invites(folder: &Path, node: &NodeName) {
    let pending = |invites: invites::Invites| invites.has_pending(node.id().as_str());
    if invites::read(folder).is_ok_and(pending)
        && let Err(error) = invites::update(folder, |invites| invites.settle(node.id().as_str()))
    {
        say(format_args!("(the invites could not be changed: {error})"));
    }
}

/// Whoever has taken over a host may also have the word by which it joined.
fn note_of_invites(folder: &Path, node: &NodeName) {
    // Revoking does not depend on invites.
    let Ok(invites) = invites::read(folder) else { return };
    for id in invites.still_admitting(node.id().as_str(), unix_ms()) {
        say(format_args!(
            "it may join again by the invite {id}, unless you end that: tidemap invites revoke {id}"
        ));
    }
}

/// What a node of this name may be enrolled as: its id, or the one that version 0.1 gave it.
fn ids(node: &NodeName) -> impl Iterator<Item = &NodeId> {
    [node.id()].into_iter().chain(node.earlier_id())
}

/// A relay's key does not say whose reports it has passed on.
fn relay_keeps(relay: &str) -> String {
    format!(
        "nodes behind {relay} stay listed as offline until ingest forgets them; `tidemap revoke NODE` here has one \
         forgotten at once"
    )
}

/// Signs the node's revocation, if the key with which it was enrolled is known.
fn sign_revocation(args: &RevokeArgs, operator: &Operator) -> anyhow::Result<String> {
    if let Some(key) = &args.key {
        let revoke = if args.relay { Operator::revoke_relay_key } else { Operator::revoke_key };
        revoke(operator, args.node.id(), key, operator::now_s())?;
        return Ok("is revoked".to_owned());
    }
    let revoke = if args.relay { Operator::revoke_relay } else { Operator::revoke };
    let mut revocation = Revocation::Unknown;
    for id in ids(&args.node) {
        if revocation == Revocation::Unknown {
            revocation = revoke(operator, id, operator::now_s())?;
        }
    }
    match revocation {
        Revocation::Now => Ok("is revoked".to_owned()),
        Revocation::Before(key) => Ok(format!("was revoked before, with the key {key}")),
        Revocation::Unknown => anyhow::bail!(
            "{} was not enrolled here, so nothing is revoked: run this on the host that enrolled it and has its \
             credentials, or name its public key with --key U…",
            args.node.display()
        ),
    }
}

/// Makes the broker that runs in a data folder read its users; returns whether there is one.
pub(crate) async fn reload(dir: &Path, brokers: &BrokersArgs) -> anyhow::Result<bool> {
    match tidemap_broker::reload_running(dir).await? {
        Reload::NotRunning => Ok(false),
        Reload::Confirmed => Ok(true),
        Reload::Unconfirmed => {
            let client = brokers.reach(&keys::sys_seed_path(dir)).await.context(
                "the broker was asked to reload, but has not confirmed that it has read its users: name its address with --nats-url and \
                 --nats-ca, or look for `Reloaded server configuration` in its log",
            )?;
            tidemap_broker::reload_by(&client).await?;
            Ok(true)
        }
    }
}

/// Adds the node to the broker's users.
async fn add(args: &EnrollArgs, dir: &Path) -> anyhow::Result<(Line, &'static str, PathBuf)> {
    let url = args.nats_url.clone().or_else(|| listen::endpoint(dir));
    let url = url.unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned());
    nats::addresses("--nats-url is not given, and the data folder has", &url)?;
    let enrolled = if args.relay {
        keys::enroll_relay(dir, args.node.id(), RelaySide::Packs)?
    } else {
        keys::enroll(dir, args.node.id())?
    };
    let brokers = BrokersArgs { nats_url: Some(url.clone()), nats_ca: args.nats_ca.clone() };
    let name = args.node.display();
    let running = reload(dir, &brokers).await.with_context(|| format!("{name} may not be admitted yet"))?;
    let state = match (enrolled.created, running) {
        (false, _) => "was enrolled before",
        (true, true) => "is enrolled, and the broker has reloaded its users",
        (true, false) => "is enrolled; the broker reads its users when it starts",
    };
    let text = read(&enrolled.seed_path)?;
    let seed = text.lines().find(|line| line.starts_with("SU")).context("the key file holds no seed")?;
    let authority = match &args.nats_ca {
        Some(path) => Some(read(path)?),
        None => listen::authority(dir).filter(|_| url.starts_with("tls://")),
    };
    Ok((
        Line {
            url,
            secret: format!("{seed}\n"),
            file: if args.relay { "tidemap-relay.nk" } else { "tidemap.nk" },
            authority,
        },
        state,
        enrolled.seed_path,
    ))
}

/// Signs credentials: no broker needs to know.
fn sign(args: &EnrollArgs, operator: &Operator) -> anyhow::Result<(Line, &'static str, PathBuf)> {
    let Some(url) = args.nats_url.clone() else {
        return Err(UsageError("--nats-url: say how the node reaches the broker".to_owned()).into());
    };
    let authority = args.nats_ca.as_deref().map(read).transpose()?;
    let enroll = if args.relay { Operator::enroll_relay } else { Operator::enroll };
    let enrolled = enroll(operator, args.node.id(), operator::now_s())?;
    let state = if enrolled.created { "is enrolled" } else { "was enrolled before" };
    Ok((
        Line {
            url,
            secret: read(&enrolled.creds_path)?,
            file: if args.relay { "tidemap-relay.creds" } else { "tidemap.creds" },
            authority,
        },
        state,
        enrolled.creds_path,
    ))
}

/// Whether the agent will take this label.
pub(crate) fn accepted(label: &str) -> Result<(), UsageError> {
    let agent = AgentArgs::augment_args(clap::Command::new("agent"));
    if label.contains([',', '\n', '\r']) {
        return Err(UsageError(format!("--label {label:?}: neither commas nor line breaks")));
    }
    let refused = agent.try_get_matches_from(["agent", "--label", label]).err();
    match refused.as_ref().and_then(std::error::Error::source) {
        Some(why) => Err(UsageError(format!("--label {label}: {why}"))),
        None => Ok(()),
    }
}

pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The data folder that was named, or the default one; it must exist, because `up` makes it.
pub(crate) fn data_dir(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let dir = data_folder(named)?;
    let found = dir.join("keys").metadata();
    if found.as_ref().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
        return Err(UsageError(format!(
            "--data-dir {}: it belongs to another user; run this as that user, or as root",
            dir.display()
        ))
        .into());
    }
    if !found.is_ok_and(|keys| keys.is_dir()) {
        return Err(UsageError(format!(
            "--data-dir {}: no Tidemap has been started here yet",
            dir.display()
        ))
        .into());
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::accepted;

    #[test]
    fn labels_are_what_the_agent_takes() {
        for label in ["role=web", "a=b=c"] {
            accepted(label).unwrap();
        }
        for (label, error) in [
            ("=v", "--label =v: the key must not be empty"),
            ("k=", "--label k=: the value must not be empty"),
            ("k", "--label k: not of the form key=value"),
            ("", "--label : not of the form key=value"),
        ] {
            assert_eq!(accepted(label).unwrap_err().to_string(), error);
        }
    }
}
