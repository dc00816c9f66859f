//! Relay configuration.

use std::path::PathBuf;

use tidemap_service::nats::NatsArgs;
use tidemap_wire::NodeId;

/// Command-line arguments of a relay.
#[derive(clap::Args, Clone, Debug)]
pub struct RelayArgs {
    /// The relay's name, as it was enrolled.
    #[arg(long, env = "TIDEMAP_RELAY", value_name = "NAME", value_parser = NodeId::from_name)]
    pub name: NodeId,
    /// The server to which the agents publish; several addresses are separated by commas.
    #[arg(long, env = "TIDEMAP_LOCAL_URL", value_name = "URL")]
    pub local_url: String,
    /// File with the key that `tidemap enroll --relay NAME --local` wrote there.
    #[arg(long, env = "TIDEMAP_LOCAL_CREDS", value_name = "FILE")]
    pub local_creds: Option<PathBuf>,
    /// Certificate authority of that server's certificate (PEM), unless it is a public one.
    #[arg(long, env = "TIDEMAP_LOCAL_CA", value_name = "FILE")]
    pub local_ca: Option<PathBuf>,
}

/// A checked relay configuration.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The relay's name. A node may have the same.
    pub relay: NodeId,
    /// The server to which the agents publish.
    pub local: NatsArgs,
}

impl RelayArgs {
    /// Converts the arguments. None of them can contradict another.
    pub fn check(self) -> RelayConfig {
        let Self { name, local_url, local_creds, local_ca } = self;
        let local = NatsArgs { nats_ca: local_ca, ..NatsArgs::new(&local_url, local_creds.as_deref()) };
        RelayConfig { relay: name, local }
    }
}
