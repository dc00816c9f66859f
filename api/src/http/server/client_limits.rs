//! Limits for each client: connections at a time, and requests by a token bucket.
//!
//! A client is an address beyond loopback; for IPv6, the network of 64 bits, because a host may use all of
//! its addresses. Loopback is not limited, as a reverse proxy on this host acts for everybody.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{config::Limits, http::enroll};

/// A client may save up the requests of this time and send them at once.
const BURST: Duration = Duration::from_secs(2);
/// With fewer clients than this, none is removed.
const KEPT_AT_LEAST: usize = 1024;

/// All clients that are or were recently connected. Only the accepting task uses it, so nothing waits for it.
#[derive(Debug)]
pub(super) struct ClientLimits {
    limits: Limits,
    known: HashMap<IpAddr, Arc<Client>>,
    /// With this many clients, those that have disconnected are removed.
    prune_at: usize,
}

/// One client's remaining quotas, shared by its connections.
#[derive(Debug)]
pub(super) struct Client {
    requests: Quota,
    /// Of those, requests to join: each takes the enroller's time.
    joins: Quota,
}

/// Requests per second, as the average of some seconds.
#[derive(Debug)]
pub(in crate::http) struct Quota {
    requests_per_second: f64,
    bucket: Mutex<Bucket>,
}

/// The client already has the maximum number of connections.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// Requests that may be sent at once; refilled with time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    requests: f64,
    at: Instant,
}

impl ClientLimits {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, known: HashMap::new(), prune_at: KEPT_AT_LEAST }
    }

    /// Admits a connection. `None` means a client without limits.
    pub(super) fn admit(&mut self, address: IpAddr, now: Instant) -> Result<Option<Arc<Client>>, TooMany> {
        let Some(client) = client(address) else { return Ok(None) };
        if self.known.len() >= self.prune_at {
            self.known.retain(|_, client| Arc::strong_count(client) > 1 || client.has_spent(now));
            self.prune_at = KEPT_AT_LEAST.max(self.known.len() * 2);
        }
        let limits = self.limits;
        let new = || {
            let requests = Quota::new(f64::from(limits.requests.get()), now);
            Arc::new(Client { requests, joins: Quota::new(enroll::PER_SECOND_OF_ADDRESS, now) })
        };
        let client = self.known.entry(client).or_insert_with(new);
        // The map itself holds one reference.
        if Arc::strong_count(client) as u64 > u64::from(limits.connections.get()) {
            return Err(TooMany);
        }
        Ok(Some(Arc::clone(client)))
    }
}

impl Client {
    /// Takes tokens for a request; the error is the time to wait for one.
    pub(super) fn take(&self, joins: bool, now: Instant) -> Result<(), Duration> {
        self.requests.take(now)?;
        if joins { self.joins.take(now) } else { Ok(()) }
    }

    /// Whether the client would gain requests if it were forgotten.
    fn has_spent(&self, now: Instant) -> bool {
        self.requests.has_spent(now) || self.joins.has_spent(now)
    }
}

impl Quota {
    pub(in crate::http) fn new(requests_per_second: f64, now: Instant) -> Self {
        let bucket = Bucket { requests: requests_per_second * BURST.as_secs_f64(), at: now };
        Self { requests_per_second, bucket: Mutex::new(bucket) }
    }

    /// Takes a token for a request; the error is the time to wait for one.
    pub(in crate::http) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        *bucket = self.filled(*bucket, now);
        if bucket.requests < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.requests) / self.requests_per_second));
        }
        bucket.requests -= 1.0;
        Ok(())
    }

    fn has_spent(&self, now: Instant) -> bool {
        let bucket = *self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        self.filled(bucket, now).requests < self.most()
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> Bucket {
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * self.requests_per_second;
        Bucket { requests: (bucket.requests + gained).min(self.most()), at: now }
    }

    fn most(&self) -> f64 {
        self.requests_per_second * BURST.as_secs_f64()
    }
}

fn client(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(address.into()),
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn clients() -> (ClientLimits, Instant) {
        let [connections, requests] = [2, 10].map(|limit| NonZeroU32::new(limit).unwrap());
        (ClientLimits::new(Limits { connections, requests }), Instant::now())
    }

    #[test]
    fn a_client_has_limited_connections_and_may_replace_ended_ones() {
        let (mut clients, now) = clients();
        let mut admit = |address: &str| clients.admit(address.parse().unwrap(), now);
        let first = admit("192.0.2.1").unwrap().unwrap();
        let _second = admit("::ffff:192.0.2.1").unwrap().unwrap();
        assert_eq!(admit("192.0.2.1").unwrap_err(), TooMany);
        assert!(admit("192.0.2.2").is_ok());
        drop(first);
        assert!(admit("192.0.2.1").is_ok());
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_loopback_is_unlimited() {
        let (mut clients, now) = clients();
        let mut admit = |address: &str| clients.admit(address.parse().unwrap(), now);
        let _first = admit("2001:db8::1").unwrap();
        let _second = admit("2001:db8::2").unwrap();
        assert_eq!(admit("2001:db8:0:0:ffff::3").unwrap_err(), TooMany);
        assert!(admit("2001:db8:0:1::1").unwrap().is_some());
        for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert!((0..5).all(|_| admit(address).unwrap().is_none()), "{address}");
        }
    }

    #[test]
    fn too_many_requests_are_answered_with_the_time_to_wait() {
        let (mut clients, now) = clients();
        let quota = clients.admit([192, 0, 2, 1].into(), now).unwrap().unwrap();
        assert!((0..20).all(|_| quota.take(false, now).is_ok()));
        assert_eq!(quota.take(false, now).unwrap_err().as_millis(), 100);
        let later = now + Duration::from_millis(250);
        assert!(
            quota.take(false, later).is_ok()
                && quota.take(false, later).is_ok()
                && quota.take(false, later).is_err()
        );
        // Another connection does not help.
        let again = clients.admit([192, 0, 2, 1].into(), later).unwrap().unwrap();
        assert!(again.take(false, later).is_err());
    }

    #[test]
    fn few_of_a_clients_requests_may_be_to_join() {
        let (connections, requests) = (NonZeroU32::MIN, NonZeroU32::new(200).unwrap());
        let (mut clients, now) = (ClientLimits::new(Limits { connections, requests }), Instant::now());
        let [one, other] = [1, 2].map(|host| clients.admit([192, 0, 2, host].into(), now).unwrap().unwrap());
        let minute = (0..600).map(|tenth| now + Duration::from_millis(100) * tenth);
        let joined = minute.filter(|at| one.take(true, *at).is_ok()).count();
        assert!((600..=640).contains(&joined), "{joined}");
        assert!(other.take(true, now).is_ok());
    }

    #[test]
    fn disconnected_clients_are_removed_once_their_quota_is_full() {
        let (mut clients, now) = clients();
        let greedy = clients.admit([192, 0, 2, 1].into(), now).unwrap().unwrap();
        while greedy.take(false, now).is_ok() {}
        drop(greedy);
        for number in 0..5_000_u32 {
            let address = IpAddr::V4((0x0a00_0000 + number).into());
            drop(clients.admit(address, now).unwrap());
        }
        assert!(clients.known.len() <= KEPT_AT_LEAST, "{}", clients.known.len());
        assert!(clients.admit([192, 0, 2, 1].into(), now).unwrap().unwrap().take(false, now).is_err());
    }
}
