//! Which certificate a running broker shows: one that was replaced on disk may not be loaded yet.

use std::{
    io::{BufRead, BufReader},
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_nats::rustls::{
    ClientConfig, ClientConnection,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use super::proof;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the broker at a host and port, which it must prove to a client with this authority, shows the
/// first certificate of a file.
///
/// # Errors
///
/// When it is not reached, does not prove who it is, or the file cannot be read.
pub fn shows(host: &str, port: u16, authority: Option<&Path>, file: &Path) -> Result<bool, String> {
    let expected = CertificateDer::from_pem_file(file)
        .map_err(|error| format!("{} holds no certificate (PEM): {error}", file.display()))?;
    let shown = shown(host, port, authority).map_err(|error| format!("{host}:{port}: {error}"))?;
    Ok(shown.is_some_and(|shown| shown == expected))
}

fn shown(
    host: &str,
    port: u16,
    authority: Option<&Path>,
) -> Result<Option<CertificateDer<'static>>, Box<dyn std::error::Error>> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(proof::roots(authority)?)
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from(host.to_owned())?)?;
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    let address = addresses.first().ok_or("no address")?;
    let stream = TcpStream::connect_timeout(address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // A line about itself comes first; then it waits for the client's handshake.
    let mut stream = BufReader::new(stream);
    stream.read_line(&mut String::new())?;
    let mut stream = stream.into_inner();
    while client.is_handshaking() {
        client.complete_io(&mut stream)?;
    }
    Ok(client.peer_certificates().and_then(<[_]>::first).cloned().map(CertificateDer::into_owned))
}
