//! Who is connected: how many connections each client has, and how often it may ask.
//!
//! A client is an address beyond loopback; of IPv6 it is the network of 64 bits that a site is given, since a host has
//! all of its addresses. Loopback is not limited: a reverse proxy on this host speaks for everybody.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::config::Limits;

/// Who has not asked for this long may ask for all of it at once.
const BURST: Duration = Duration::from_secs(2);
/// Below this many, nobody is forgotten.
const FEW: usize = 1024;

/// All clients that are connected or were a moment ago. Only the task that accepts knows them, so nobody waits for it.
#[derive(Debug)]
pub(super) struct Visitors {
    limits: Limits,
    known: HashMap<IpAddr, Arc<Visitor>>,
    /// When there are so many, those who are gone are forgotten.
    review_at: usize,
}

/// A client; each of its connections holds it.
#[derive(Debug)]
pub(super) struct Visitor {
    requests_per_second: f64,
    bucket: Mutex<Bucket>,
}

/// A client has as many connections as one may have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// What may be asked for at once, growing with time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    requests: f64,
    at: Instant,
}

impl Visitors {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, known: HashMap::new(), review_at: FEW }
    }

    /// Lets a connection in. `None` is a client without limits.
    pub(super) fn enter(&mut self, address: IpAddr, now: Instant) -> Result<Option<Arc<Visitor>>, TooMany> {
        let Some(client) = client(address) else { return Ok(None) };
        if self.known.len() >= self.review_at {
            self.known.retain(|_, visitor| Arc::strong_count(visitor) > 1 || visitor.has_spent(now));
            self.review_at = FEW.max(self.known.len() * 2);
        }
        let limits = self.limits;
        let visitor = self.known.entry(client).or_insert_with(|| Arc::new(Visitor::new(limits, now)));
        // One is ours.
        if Arc::strong_count(visitor) as u64 > u64::from(limits.connections.get()) {
            return Err(TooMany);
        }
        Ok(Some(Arc::clone(visitor)))
    }
}

impl Visitor {
    fn new(limits: Limits, now: Instant) -> Self {
        let requests_per_second = f64::from(limits.requests.get());
        let bucket = Bucket { requests: requests_per_second * BURST.as_secs_f64(), at: now };
        Self { requests_per_second, bucket: Mutex::new(bucket) }
    }

    /// Counts a request; the time to wait is the error when there were too many.
    pub(super) fn ask(&self, now: Instant) -> Result<(), Duration> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        *bucket = self.filled(*bucket, now);
        if bucket.requests < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.requests) / self.requests_per_second));
        }
        bucket.requests -= 1.0;
        Ok(())
    }

    /// Whether it would gain by being forgotten.
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

    fn visitors() -> (Visitors, Instant) {
        let [connections, requests] = [2, 10].map(|limit| NonZeroU32::new(limit).unwrap());
        (Visitors::new(Limits { connections, requests }), Instant::now())
    }

    #[test]
    fn a_client_has_so_many_connections_and_one_more_when_one_has_ended() {
        let (mut visitors, now) = visitors();
        let mut enter = |address: &str| visitors.enter(address.parse().unwrap(), now);
        let first = enter("192.0.2.1").unwrap().unwrap();
        let _second = enter("::ffff:192.0.2.1").unwrap().unwrap();
        assert_eq!(enter("192.0.2.1").unwrap_err(), TooMany);
        assert!(enter("192.0.2.2").is_ok());
        drop(first);
        assert!(enter("192.0.2.1").is_ok());
    }

    #[test]
    fn all_addresses_of_a_site_are_one_client_and_loopback_is_none() {
        let (mut visitors, now) = visitors();
        let mut enter = |address: &str| visitors.enter(address.parse().unwrap(), now);
        let _first = enter("2001:db8::1").unwrap();
        let _second = enter("2001:db8::2").unwrap();
        assert_eq!(enter("2001:db8:0:0:ffff::3").unwrap_err(), TooMany);
        assert!(enter("2001:db8:0:1::1").unwrap().is_some());
        for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert!((0..5).all(|_| enter(address).unwrap().is_none()), "{address}");
        }
    }

    #[test]
    fn who_asks_too_often_is_told_how_long_to_wait() {
        let (mut visitors, now) = visitors();
        let visitor = visitors.enter([192, 0, 2, 1].into(), now).unwrap().unwrap();
        assert!((0..20).all(|_| visitor.ask(now).is_ok()));
        assert_eq!(visitor.ask(now).unwrap_err().as_millis(), 100);
        let later = now + Duration::from_millis(250);
        assert!(visitor.ask(later).is_ok() && visitor.ask(later).is_ok() && visitor.ask(later).is_err());
        // Another connection does not help.
        let again = visitors.enter([192, 0, 2, 1].into(), later).unwrap().unwrap();
        assert!(again.ask(later).is_err());
    }

    #[test]
    fn those_who_are_gone_are_forgotten_but_not_what_they_have_spent() {
        let (mut visitors, now) = visitors();
        let greedy = visitors.enter([192, 0, 2, 1].into(), now).unwrap().unwrap();
        while greedy.ask(now).is_ok() {}
        drop(greedy);
        for number in 0..5_000_u32 {
            let address = IpAddr::V4((0x0a00_0000 + number).into());
            drop(visitors.enter(address, now).unwrap());
        }
        assert!(visitors.known.len() <= FEW, "{}", visitors.known.len());
        assert!(visitors.enter([192, 0, 2, 1].into(), now).unwrap().unwrap().ask(now).is_err());
    }
}
