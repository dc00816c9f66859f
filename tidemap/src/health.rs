//! `tidemap health`: whether the API on this host is ready, as an exit code for whoever supervises it. An
//! image that holds this program alone has nothing else that could ask.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, bail};
use tidemap_service::{cli, listen_address::ListenAddress};
use ureq::Agent;

/// The API answers within milliseconds, or it is not ready.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Where the API listens unless it is given an address.
const PORT: u16 = 8080;

/// Which API to ask.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct HealthArgs {
    /// Where the API listens: what was given to it, so that the same variable serves both.
    #[arg(long, env = "TIDEMAP_HTTP", default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    http: ListenAddress,
}

pub(crate) async fn run(args: HealthArgs) -> anyhow::Result<()> {
    let address = reachable(args.http.resolve("--http", Some(PORT))?);
    let said = tokio::task::spawn_blocking(move || ask(address)).await.context("it was not asked")??;
    Ok(cli::print(said.trim_end())?)
}

/// All addresses of a host are no address to ask.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn ask(address: SocketAddr) -> anyhow::Result<String> {
    let config = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
    let agent: Agent = config.build().into();
    let url = format!("http://{address}/readyz");
    let mut answer = agent.get(&url).call().with_context(|| format!("{url} does not answer"))?;
    let body = answer.body_mut().read_to_string().context("its answer broke off")?;
    match answer.status().as_u16() {
        200 => Ok(body),
        code => bail!("{url} answers with status {code}: {}", body.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_asked_at_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:9000", "127.0.0.1:9000"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.7:80", "192.0.2.7:80"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), asked);
        }
    }
}
