//! A network that can be cut without notice to either side: a TCP proxy that continues to accept but forwards
//! nothing.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A proxy before one address, ended on drop.
pub struct Proxy {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy on a free port.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (cut, is_cut) = watch::channel(false);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, target, is_cut));
        Ok(Self { address, cut, _accepting: accepting })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Stops forwarding; neither side notices. Bytes in transit arrive after `heal`, as after a network's
    /// retransmissions.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        self.cut.send_replace(false);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, is_cut: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(carry(client, target, is_cut.clone()));
    }
}

/// Carries one connection until either side closes it.
async fn carry(client: TcpStream, target: SocketAddr, mut is_cut: watch::Receiver<bool>) {
    if is_cut.wait_for(|cut| !cut).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        // The client has closed, or cannot be reached.
        _ = copy(from_client, to_server, is_cut.clone()) => {}
        // The server has closed.
        _ = copy(from_server, to_client, is_cut) => {}
    }
}

async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut is_cut: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        is_cut.wait_for(|cut| !cut).await?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
    }
}
