//! `tidemap enroll` and `tidemap revoke`: who may publish as which node.

use std::path::PathBuf;

use anyhow::Context;
use tidemap_service::{broker, cli::UsageError, data_dir::DataDir, keys, tls};
use tidemap_wire::NodeId;

use crate::listen;

/// Which node, and where its agent will find the broker.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct EnrollArgs {
    /// The node's name, such as its host name.
    #[arg(value_name = "NODE", value_parser = NodeId::from_name)]
    node: NodeId,
    /// A label, `key=value`, for the agent's line; may be repeated.
    #[arg(long = "labels", value_name = "KEY=VALUE", value_delimiter = ',')]
    labels: Vec<String>,
    /// The broker's address as the node reaches it; what `tidemap up` has told unless given.
    #[arg(long, env = "TIDEMAP_NATS_URL", value_name = "URL")]
    nats_url: Option<String>,
    /// Where `tidemap up` keeps its data.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// Which node.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct RevokeArgs {
    /// The node's name.
    #[arg(value_name = "NODE", value_parser = NodeId::from_name)]
    node: NodeId,
    /// Where `tidemap up` keeps its data.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// Makes the node's key, lets it in, and prints the line that starts its agent.
pub(crate) fn enroll(args: EnrollArgs) -> anyhow::Result<()> {
    let dir = data_dir(args.data_dir)?;
    if let Some(bad) = args.labels.iter().find(|label| !label.contains('=')) {
        return Err(UsageError(format!("--labels {bad}: not of the form key=value")).into());
    }
    let enrolled = keys::enroll(&dir, &args.node)?;
    let running = broker::reload_running(&dir)?;
    let state = match (enrolled.created, running) {
        (false, _) => "was enrolled before",
        (true, true) => "is enrolled, and the broker knows",
        (true, false) => "is enrolled; the broker will know when it starts",
    };
    let seed = std::fs::read_to_string(&enrolled.seed_path)
        .with_context(|| format!("cannot read {}", enrolled.seed_path.display()))?;
    let seed = seed.lines().find(|line| line.starts_with("SU")).context("the key file holds no seed")?;
    let labels: String = args.labels.iter().map(|label| format!(" --label {}", quoted(label))).collect();
    let node = quoted(&args.node.display_name());
    let url = args
        .nats_url
        .or_else(|| listen::endpoint(&dir))
        .unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned());
    eprintln!("{node} {state}. On that host, start its agent with this line (the key in it is a secret):");
    if url.starts_with("nats://127.") {
        eprintln!(
            "(the broker listens on this host only; for others start it with `tidemap up --listen 0.0.0.0`)"
        );
    }
    let (make_ca, use_ca) = match tls::authority_of(&dir) {
        Some(pem) if url.starts_with("tls://") => (
            format!("printf %b '{}' > tidemap-ca.pem && ", pem.replace('\n', "\\n")),
            " --nats-ca tidemap-ca.pem",
        ),
        _ => (String::new(), ""),
    };
    println!(
        "umask 077 && echo {seed} > tidemap.nk && {make_ca}tidemap agent --node {node}{labels} --nats-url {}{use_ca} \
         --creds tidemap.nk",
        quoted(&url)
    );
    Ok(())
}

/// Shuts the node's agent out, at once when the broker runs.
pub(crate) fn revoke(args: &RevokeArgs) -> anyhow::Result<()> {
    let dir = data_dir(args.data_dir.clone())?;
    let known = keys::revoke(&dir, &args.node)?;
    broker::reload_running(&dir)?;
    let what = if known { "is shut out" } else { "was not enrolled" };
    eprintln!("{} {what}", args.node.display_name());
    Ok(())
}

/// The data folder that was named, or the default one; it must exist, because `up` makes it.
fn data_dir(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let dir = named
        .or_else(DataDir::default_path)
        .ok_or_else(|| UsageError("--data-dir: there is no home folder to choose a default in".to_owned()))?;
    if !dir.join("keys").is_dir() {
        return Err(UsageError(format!(
            "--data-dir {}: no Tidemap has been started here yet",
            dir.display()
        ))
        .into());
    }
    Ok(dir)
}

/// A word as a shell reads it back whole.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        for (word, line) in
            [("a-1", "a-1"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''"), ("$x", "'$x'")]
        {
            assert_eq!(quoted(word), line);
        }
    }
}
