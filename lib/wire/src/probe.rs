//! What an agent's probes found.

use serde::{Deserialize, Serialize};

/// What the probes of one target came to in a minute. Times are in milliseconds, of the probes that were
/// answered; absent when none was. A probe that is lost has no time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probe {
    /// As the node's operator wrote it: `icmp://host` or `tcp://host:port`.
    pub target: String,
    /// Probes whose end is known.
    pub sent: u32,
    /// Those of them that were not answered.
    pub lost: u32,
    /// The shortest round trip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<f64>,
    /// The median round trip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_ms: Option<f64>,
    /// The longest round trip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    /// The mean difference between one round trip and the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<f64>,
    /// Why nothing could be sent lately, in a few words. That is no loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Probe {
    /// The host that is probed, without brackets and port.
    pub fn host(&self) -> Option<&str> {
        let (method, rest) = self.target.split_once("://")?;
        let host = match method {
            "icmp" => rest,
            "tcp" => rest.rsplit_once(':')?.0,
            _ => return None,
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        Some(bare.unwrap_or(host)).filter(|host| !host.is_empty())
    }

    /// Lost probes in hundredths of those sent; `None` when none was.
    pub fn loss_percent(&self) -> Option<f64> {
        (self.sent > 0).then(|| f64::from(self.lost) / f64::from(self.sent) * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_target_stands_between_method_and_port() {
        for (target, host) in [
            ("icmp://web-01", Some("web-01")),
            ("icmp://2001:db8::7", Some("2001:db8::7")),
            ("icmp://[2001:db8::7]", Some("2001:db8::7")),
            ("tcp://db.example.com:5432", Some("db.example.com")),
            ("tcp://[::1]:443", Some("::1")),
            ("tcp://web-01", None),
            ("icmp://", None),
            ("udp://a:1", None),
            ("web-01", None),
        ] {
            let probe = Probe { target: target.to_owned(), ..Probe::default() };
            assert_eq!(probe.host(), host, "{target}");
        }
    }

    #[test]
    fn loss_is_a_share_of_what_was_sent() {
        let loss = |sent, lost| Probe { sent, lost, ..Probe::default() }.loss_percent();
        assert_eq!(
            (loss(0, 0), loss(4, 0), loss(4, 1), loss(4, 4)),
            (None, Some(0.0), Some(25.0), Some(100.0))
        );
    }
}
