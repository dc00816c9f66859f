//! One probe after the other of one target.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{Target, icmp, lookup::Lookup, outcome::Outcome, target::Method};

/// An answer that takes longer is lost: less than the shortest time between two probes.
pub(super) const TIMEOUT: Duration = Duration::from_secs(4);

/// Probes of one target.
#[derive(Debug)]
pub(super) struct Attempts {
    method: Method,
    lookup: Lookup,
    /// The number of the last echo request.
    sequence: u16,
}

impl Attempts {
    pub(super) fn new(target: Target) -> Self {
        Self { method: target.method, lookup: Lookup::new(target.host), sequence: 0 }
    }

    /// Sends a probe and waits for its end, at most for twice [`TIMEOUT`] when the name is looked up for the
    /// first time.
    pub(super) async fn next(&mut self) -> Outcome {
        let address = match self.lookup.address(Instant::now() + TIMEOUT).await {
            Ok(address) => address,
            Err(why) => return Outcome::NotPossible(why),
        };
        match self.method {
            Method::Icmp => {
                self.sequence = self.sequence.wrapping_add(1);
                icmp::echo(address, self.sequence, Instant::now() + TIMEOUT).await
            }
            Method::Tcp(port) => connect(address, port).await,
        }
    }
}

/// The time until a connection is there. It is closed at once.
async fn connect(address: IpAddr, port: u16) -> Outcome {
    let begun = Instant::now();
    match timeout_at(begun + TIMEOUT, TcpStream::connect(SocketAddr::new(address, port))).await {
        Ok(Ok(_)) => Outcome::Answered(begun.elapsed()),
        Ok(Err(error)) => Outcome::of_error(&error),
        Err(_) => Outcome::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(target: &str) -> Outcome {
        Attempts::new(Target::parse(target).unwrap()).next().await
    }

    #[tokio::test]
    async fn a_connection_is_a_round_trip_and_a_refused_one_is_lost() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp://{}", listener.local_addr().unwrap());
        assert!(matches!(outcome(&target).await, Outcome::Answered(time) if !time.is_zero()));
        drop(listener);
        assert_eq!(outcome(&target).await, Outcome::Lost);
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_not_lost() {
        let Outcome::NotPossible(why) = outcome("tcp://nowhere.invalid:80").await else {
            panic!("it was sent")
        };
        assert!(why.contains("nowhere.invalid"), "{why}");
    }
}
