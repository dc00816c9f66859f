//! The options as given ([`ApiArgs`]), and as checked ([`ApiConfig`]).

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use tidemap_service::{
    cli::UsageError,
    listen_address::{ListenAddress, bind_failure},
    watched_file::{FileContent, WatchedFile},
};
use tidemap_traffic::Plans;
use tidemap_wire::PartitionCount;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};

use crate::{
    names::{NameArgs, Names},
    tiles::{Tiles, TilesAttribution, TilesUrl},
    token::{TokenArgs, Tokens},
};

/// The API's usual port.
const PORT: u16 = 8080;
/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;
/// The kernel's send buffer for each connection (the kernel counts it twice). Without a limit it grows to
/// megabytes for each client that never reads, which slows the others down.
const SEND_BYTES: u32 = 64 * 1024;

/// The options of the API.
#[derive(clap::Args, Clone, Debug)]
pub struct ApiArgs {
    /// Where the page and the API are served. Beyond loopback this needs a token or --public.
    /// A port alone means all addresses of this host.
    #[arg(long, env = "TIDEMAP_HTTP", default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    pub http: ListenAddress,
    #[command(flatten)]
    pub tokens: TokenArgs,
    /// The number of partitions; the same as ingest's.
    #[arg(long, env = "TIDEMAP_PARTITIONS", default_value = "8", value_name = "NUMBER")]
    pub partitions: PartitionCount,
    /// Allow reading without the token, and leave out what hosts keep to themselves: addresses, host name,
    /// system, kernel, agent's version, names of interfaces, why reports were refused. Admin calls still need
    /// the token.
    #[arg(long, env = "TIDEMAP_PUBLIC", value_parser = clap::builder::BoolishValueParser::new())]
    pub public: bool,
    /// The most nodes that have series of their own in /metrics; all, unless given. Of a larger fleet, which
    /// ones have series follows from their names alone, and `tidemap_nodes_omitted` counts the others.
    #[arg(long, env = "TIDEMAP_METRICS_NODES", value_name = "NUMBER")]
    pub metrics_nodes: Option<usize>,
    /// Series in /metrics for each interface of each node. A public page has none, because the names of
    /// interfaces are what hosts keep to themselves.
    #[arg(long, env = "TIDEMAP_METRICS_INTERFACES", value_parser = clap::builder::BoolishValueParser::new())]
    pub metrics_interfaces: bool,
    /// Where the page's map gets tiles, such as `https://tiles.example/{z}/{x}/{y}.png`; nowhere unless
    /// given, and the page then sends requests to this API only.
    #[arg(long, env = "TIDEMAP_TILES_URL", value_name = "URL")]
    pub tiles_url: Option<TilesUrl>,
    /// The attribution that the map shows for the tiles, in plain text.
    #[arg(long, env = "TIDEMAP_TILES_ATTRIBUTION", value_name = "TEXT")]
    pub tiles_attribution: Option<TilesAttribution>,
    /// The file that declares quotas and billing cycles, such as `traffic.toml` (see docs/traffic.md). It is
    /// read again when it has changed; one that is wrong then leaves the plans of before in force.
    #[arg(long, env = "TIDEMAP_TRAFFIC", value_name = "FILE")]
    pub traffic: Option<PathBuf>,
    /// The folder with the agents' programs (`tidemap-agent-x86_64`, `tidemap-agent-aarch64`) that hosts get
    /// here when they join; that of this installation unless given.
    #[arg(long, env = "TIDEMAP_AGENTS_DIR", value_name = "FOLDER")]
    pub agents_dir: Option<PathBuf>,
    #[command(flatten)]
    pub names: NameArgs,
    #[command(flatten)]
    pub limits: Limits,
}

impl ApiArgs {
    /// Checks that the options are consistent.
    ///
    /// # Errors
    ///
    /// When they would serve the fleet to a network without an explicit request for it, or an option has no
    /// effect without another, or a file cannot be read.
    pub fn check(self) -> anyhow::Result<ApiConfig> {
        let http = self.http.resolve("--http", Some(PORT))?;
        let beyond_loopback = !http.ip().to_canonical().is_loopback();
        let tokens = self.tokens.check()?;
        if beyond_loopback && tokens.reader.is_none() && tokens.admin.is_none() && !self.public {
            return Err(UsageError(format!(
                "--http {http} can be reached from other hosts: give --read-token-file (TIDEMAP_READ_TOKEN_FILE) or \
                 --api-token-file (TIDEMAP_API_TOKEN_FILE), or --public to let everybody read; for this host alone, \
                 127.0.0.1:{}",
                http.port()
            ))
            .into());
        }
        if tokens.reader.is_some() && self.public {
            let both =
                "--public lets everybody read, and --read-token only those who have it: give one of them";
            return Err(UsageError(both.to_owned()).into());
        }
        let reads_need_token = tokens.reader.is_some() || beyond_loopback && !self.public;
        let attribution = self.tiles_attribution;
        if attribution.is_some() && self.tiles_url.is_none() {
            return Err(UsageError("--tiles-attribution is of no use without --tiles-url".to_owned()).into());
        }
        Ok(ApiConfig {
            http,
            partitions: self.partitions,
            plans: self.traffic.map(|path| WatchedFile::open("--traffic", path, Plans::parse)).transpose()?,
            access: Access { reads_need_token, tokens },
            names: self.names.names(!beyond_loopback),
            redacted: self.public,
            agents_dir: self.agents_dir.or_else(installed_agents),
            node_series: NodeSeries { limit: self.metrics_nodes, interfaces: self.metrics_interfaces },
            tiles: self.tiles_url.map(|url| Tiles { url, attribution }),
            limits: self.limits,
        })
    }
}

/// Options that are consistent.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    pub(crate) http: SocketAddr,
    pub(crate) partitions: PartitionCount,
    /// The file that declares how nodes are billed.
    pub(crate) plans: Option<WatchedFile<Plans>>,
    pub(crate) access: Access,
    pub(crate) names: Names,
    /// Whether what hosts keep to themselves is left out.
    pub(crate) redacted: bool,
    /// Where the agents' programs are that hosts get when they join.
    pub(crate) agents_dir: Option<PathBuf>,
    pub(crate) node_series: NodeSeries,
    pub(crate) tiles: Option<Tiles>,
    pub(crate) limits: Limits,
}

impl ApiConfig {
    /// The number of partitions.
    pub fn partitions(&self) -> PartitionCount {
        self.partitions
    }

    /// Whether requests for this name of the host are answered.
    pub fn answers(&self, name: &str) -> bool {
        self.names.answers(name)
    }

    /// What the file of plans says: the API follows it.
    pub fn plans(&self) -> Option<watch::Receiver<FileContent<Plans>>> {
        self.plans.as_ref().map(WatchedFile::subscribe)
    }

    /// Whether nobody can be the admin.
    pub fn lacks_token(&self) -> bool {
        self.access.tokens.admin.is_none()
    }

    /// Takes the admin's token from a file.
    ///
    /// # Errors
    ///
    /// When the file holds none.
    pub fn read_token(&mut self, path: &Path) -> anyhow::Result<()> {
        Ok(self.access.tokens.read_admin(path)?)
    }

    /// Binds the address, so that a taken port is reported before anything is started.
    ///
    /// # Errors
    ///
    /// When the address is taken or is not one of this host's.
    pub async fn bind(&self) -> Result<TcpListener, UsageError> {
        listen(self.http).map_err(|error| bind_failure("--http", self.http, &error))
    }
}

/// Where an installation has them, beside the folder of its programs.
fn installed_agents() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    Some(program.parent()?.parent()?.join("lib/tidemap/agents"))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted process must not wait until the kernel forgets the connections of the previous one.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit this: the end of a frame must not wait for the acknowledgement of its
    // beginning.
    socket.set_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Limits for each address beyond loopback; for IPv6, for each network of 64 bits.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that one address beyond loopback may have. A reverse proxy on another host is one
    /// address.
    #[arg(
        long = "connections-per-address",
        env = "TIDEMAP_CONNECTIONS_PER_ADDRESS",
        default_value = "1024",
        value_name = "NUMBER"
    )]
    pub connections: NonZeroU32,
    /// Requests that one address beyond loopback may make per second, as the average of two seconds.
    #[arg(
        long = "requests-per-address",
        env = "TIDEMAP_REQUESTS_PER_ADDRESS",
        default_value = "200",
        value_name = "NUMBER"
    )]
    pub requests: NonZeroU32,
}

/// Which series nodes have in `/metrics`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeSeries {
    /// The most nodes that have series of their own; all have without a limit.
    pub(crate) limit: Option<usize>,
    /// Whether each of their interfaces has series of its own.
    pub(crate) interfaces: bool,
}

/// The rules of access.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// Whether reading needs a token too.
    pub(crate) reads_need_token: bool,
    pub(crate) tokens: Tokens,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        api: ApiArgs,
    }

    fn check(flags: &[&str]) -> anyhow::Result<ApiConfig> {
        Cli::try_parse_from(std::iter::once("api").chain(flags.iter().copied()))?.api.check()
    }

    #[test]
    fn other_hosts_are_served_only_when_the_operator_says_so() {
        assert!(check(&["--http", "127.0.0.1:0"]).is_ok());
        assert!(check(&["--http", "[::1]:0"]).is_ok());
        assert!(check(&["--http", "localhost:0"]).is_ok());
        let refused = check(&["--http", "0.0.0.0:8080"]).unwrap_err();
        assert!(
            refused.is::<UsageError>()
                && refused.to_string().starts_with("--http 0.0.0.0:8080 can be reached")
        );
        let with_token = check(&["--http", "0.0.0.0:8080", "--api-token", "a-secret-of-tests"]).unwrap();
        assert!(with_token.access.reads_need_token && !with_token.redacted);
        let public = check(&["--http", "[::]:8080", "--public"]).unwrap();
        assert!(!public.access.reads_need_token && public.redacted && public.access.tokens.admin.is_none());
    }

    #[test]
    fn a_readers_token_is_for_reading_on_loopback_too() {
        let reader = ["--read-token", "a-readers-secret-of-tests"];
        for http in ["127.0.0.1:0", "0.0.0.0:8080"] {
            let given = check(&[&["--http", http], &reader[..]].concat()).unwrap();
            assert!(given.access.reads_need_token && given.lacks_token() && !given.redacted, "{http}");
        }
        for (more, why) in [
            (&["--public"][..], "give one of them"),
            (&["--api-token", "a-readers-secret-of-tests"], "another token"),
            (&["--read-token-file", "/no/such/file"], "cannot be used with"),
        ] {
            let refused = check(&[&reader[..], more].concat()).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        let refused = check(&["--read-token-file", "/no/such/file"]).unwrap_err().to_string();
        assert!(refused.starts_with("--read-token-file /no/such/file"), "{refused}");
    }

    #[test]
    fn bad_values_are_refused() {
        for flags in [
            ["--http", "8080"],
            ["--http", ":8080"],
            ["--http", "http://127.0.0.1:8080"],
            ["--api-token", ""],
            ["--api-token", "a b-of-16-letters"],
            ["--api-token", "fifteen-letters"],
            ["--api-token-file", "/no/such/file"],
            ["--host", "http://tidemap.example"],
            ["--allow-origin", "tidemap.example"],
            ["--partitions", "7"],
            ["--metrics-nodes", "-1"],
            ["--connections-per-address", "0"],
            ["--requests-per-address", "0"],
            ["--tiles-url", "http://tiles.example/{z}/{x}/{y}.png"],
            ["--tiles-attribution", "nobody's"],
        ] {
            assert!(check(&flags).is_err(), "{flags:?}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_reported_in_one_line() {
        let mut config = check(&["--http", "127.0.0.1:0"]).unwrap();
        let holder = config.bind().await.unwrap();
        config.http = holder.local_addr().unwrap();
        let error = format!("{:#}", config.bind().await.unwrap_err());
        assert!(
            error.starts_with(&format!("{} is taken: ", config.http)) && !error.contains('\n'),
            "{error}"
        );
    }
}
