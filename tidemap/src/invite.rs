//! `tidemap invite` and `tidemap invites`: which words let nodes join.

use std::{collections::BTreeMap, path::PathBuf};

use tidemap_broker::invites::{self, InviteRecord, InviteTerms};
use tidemap_service::{
    cli::{self, UsageError, say},
    clock::unix_ms,
    moment, nats,
};
use url::Url;

use crate::{
    api_endpoint, enroll,
    enroller::{FolderArgs, Registry},
    listen,
};

/// The longest time for which an invite may hold: it is a secret that lies in many places.
const LONGEST_MS: i64 = 366 * 24 * 3_600_000;

/// What the invite allows, and where its nodes find this Tidemap.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct InviteArgs {
    /// How many nodes may join.
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    uses: u32,
    /// For how long: 30m, 24h, 7d; at most 366d.
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = lasting)]
    expires: i64,
    /// A label, `key=value`, of the nodes that join; may be repeated.
    #[arg(long = "label", alias = "labels", value_name = "KEY=VALUE", value_delimiter = ',')]
    labels: Vec<String>,
    /// Let a node that is enrolled already join again, with another key in place of the one that it has.
    #[arg(long)]
    rejoin: bool,
    /// The API's address as the nodes reach it; that of `tidemap up` unless given.
    #[arg(long, env = "TIDEMAP_API_URL", value_name = "URL")]
    api_url: Option<Url>,
    /// The broker's address as the nodes reach it; that of `tidemap up`, or the enroller's own, unless given.
    #[arg(long, env = "TIDEMAP_NATS_URL", value_name = "URL")]
    nats_url: Option<String>,
    /// Certificate authority of the broker's certificate (PEM), if --nats-url is given; that of `tidemap up`
    /// unless given.
    #[arg(long, env = "TIDEMAP_NATS_CA", value_name = "FILE")]
    nats_ca: Option<PathBuf>,
    #[command(flatten)]
    folder: FolderArgs,
}

/// What to do with the invites that there are.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct InvitesArgs {
    #[command(subcommand)]
    command: Option<InvitesCommand>,
    #[command(flatten)]
    folder: FolderArgs,
}

/// What to do with one of them.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum InvitesCommand {
    /// Ends an invite: nobody else joins by it. Nodes that have joined stay.
    Revoke {
        /// The invite's id, as `tidemap invites` lists it.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        folder: FolderArgs,
    },
}

/// Makes an invite and prints the line that lets a host join by it.
pub(crate) fn invite(args: &InviteArgs) -> anyhow::Result<()> {
    let labels = labels(&args.labels)?;
    if let Some(url) = &args.nats_url {
        nats::addresses("--nats-url", url)?;
    }
    let registry = args.folder.open()?;
    let api = api_url(args, &registry)?;
    let now_ms = unix_ms();
    let terms = InviteTerms {
        uses: args.uses,
        expires_ms: now_ms + args.expires,
        labels,
        rejoin: args.rejoin,
        url: args.nats_url.clone(),
        authority: match (&args.nats_url, &args.nats_ca) {
            (Some(_), Some(path)) => Some(enroll::read(path)?),
            (Some(url), None) if url.starts_with("tls://") => listen::authority(registry.folder()),
            _ => None,
        },
    };
    let made = invites::update(registry.folder(), |invites| invites.make(terms, now_ms))??;
    let nodes = if args.uses == 1 { "one host".to_owned() } else { format!("{} hosts", args.uses) };
    say(format_args!(
        "The invite {} lets {nodes} join until {}. Run this line there, as root (the word in it is a secret):",
        made.id(),
        moment::date(now_ms + args.expires)
    ));
    cli::print(format_args!("{}", join_line(&api, args.api_url.is_some(), made.word())))?;
    say(format_args!(
        "With the package, or a copy of the program:  tidemap-agent join {} {}",
        cli::quoted(&api),
        made.word()
    ));
    note_of_loopback(args, &registry, &api);
    Ok(())
}

/// Lists the invites, or ends one.
pub(crate) fn invites(args: InvitesArgs) -> anyhow::Result<()> {
    match args.command {
        Some(InvitesCommand::Revoke { id, folder }) => {
            let folder = if folder.is_given() { folder } else { args.folder };
            let registry = folder.open()?;
            let known = invites::update(registry.folder(), |invites| invites.revoke(&id))?;
            anyhow::ensure!(known, "there is no invite {id}");
            say(format_args!("nobody joins by the invite {id} any more"));
            Ok(())
        }
        None => {
            let now_ms = unix_ms();
            let all = invites::read(args.folder.open()?.folder())?;
            if all.all().is_empty() {
                say("there are no invites; `tidemap invite` makes one");
                return Ok(());
            }
            let lines: Vec<String> = all.all().iter().map(|invite| listed(invite, now_ms)).collect();
            Ok(cli::print(lines.join("\n"))?)
        }
    }
}

/// An invite in one line.
fn listed(invite: &InviteRecord, now_ms: i64) -> String {
    let terms = &invite.terms;
    let state = match invite.over(now_ms) {
        Some(why) => why.to_owned(),
        None => format!("until {}", moment::date(terms.expires_ms)),
    };
    let labels: String = terms.labels.iter().map(|(key, value)| format!("  {key}={value}")).collect();
    let rejoin = if terms.rejoin { "  rejoin" } else { "" };
    let joined: Vec<&str> = invite.joined.iter().map(|joined| &*joined.name).collect();
    let joined = if joined.is_empty() { String::new() } else { format!("  joined: {}", joined.join(", ")) };
    format!("{}  {} of {} left  {state}{rejoin}{labels}{joined}", invite.id, invite.uses_left(), terms.uses)
}

/// The one line. A script does not know its own address where a proxy is before the API: it may end TLS, add
/// a prefix, or name the API by an address that is another program's on the host that joins. So the line
/// repeats the address, unless it is that of `tidemap up`.
fn join_line(api: &str, is_given: bool, word: &str) -> String {
    let plain = Url::parse(api).is_ok_and(|url| url.scheme() == "http" && url.path() == "/");
    let address = if plain && !is_given { String::new() } else { format!("{} ", cli::quoted(api)) };
    format!("curl -fsS {} | sh -s -- {address}{word}", cli::quoted(&format!("{api}/install.sh")))
}

/// The API's address without a slash at its end.
fn api_url(args: &InviteArgs, registry: &Registry) -> Result<String, UsageError> {
    let wrong = |why: &str| UsageError(format!("--api-url: {why}"));
    let url = match &args.api_url {
        Some(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url.to_string(),
        Some(_) => return Err(wrong("must begin with http:// or https://")),
        None if registry.signs() => return Err(wrong("say how the nodes reach the API")),
        None => api_endpoint::read(registry.folder()).ok_or_else(|| {
            wrong("`tidemap up` has not been started since this version: say how the nodes reach the API")
        })?,
    };
    Ok(url.trim_end_matches('/').to_owned())
}

fn note_of_loopback(args: &InviteArgs, registry: &Registry, api: &str) {
    let is_loopback = |url: &str| ["//127.", "//localhost", "//[::1]"].iter().any(|part| url.contains(part));
    if is_loopback(api) {
        say(
            "(the API listens on this host only; for others start it with `tidemap up --http 0.0.0.0:8080`, or name \
             with --api-url how a proxy is reached)",
        );
    }
    let broker = args.nats_url.clone().or_else(|| listen::endpoint(registry.folder()));
    if broker.is_some_and(|url| is_loopback(&url)) {
        say("(the broker listens on this host only; for others start it with `tidemap up --listen 0.0.0.0`)");
    }
}

fn labels(given: &[String]) -> Result<BTreeMap<String, String>, UsageError> {
    given.iter().try_for_each(|label| enroll::accepted(label))?;
    let pair = |label: &String| {
        let (key, value) = label.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    Ok(given.iter().filter_map(pair).collect())
}

fn lasting(text: &str) -> Result<i64, String> {
    let ms = moment::duration_ms(text.trim()).filter(|ms| (1..=LONGEST_MS).contains(ms));
    ms.ok_or_else(|| "not a time such as 30m, 24h or 7d, at most 366d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::join_line;

    #[test]
    fn the_line_names_the_address_where_the_script_cannot_know_it() {
        let line = join_line("http://a:8080", false, "word");
        assert_eq!(line, "curl -fsS http://a:8080/install.sh | sh -s -- word");
        for (api, is_given) in [("https://a", false), ("http://a/fleet", false), ("http://a:8080", true)] {
            let line = join_line(api, is_given, "word");
            assert_eq!(line, format!("curl -fsS {api}/install.sh | sh -s -- {api} word"));
        }
    }
}
