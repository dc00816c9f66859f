//! A report as its receiver first reads it.
//!
//! An ingest worker reads a hundred thousand of them a second, and nearly all are alike: the same fields in the order in
//! which [`Report`](crate::Report) is written. Those are read field by field, in less than half the time that finding each
//! key among all that there may be takes. Whatever is unusual in any way is read by [`decode`], which alone decides what is
//! valid.

use serde::Deserialize;

use crate::{Bps, DecodeError, Hello, Host, InterfaceRate, Sample, decode};

/// A report of which the node's name is still a claim, and for which nothing was copied.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ReceivedReport<'a> {
    /// Whom it says it is of; the subject must name the same.
    #[serde(borrow)]
    pub node: &'a str,
    /// As in [`Report`](crate::Report).
    pub boot: u64,
    /// As in [`Report`](crate::Report).
    #[serde(default)]
    pub hello: Option<Box<Hello>>,
    /// As in [`Report`](crate::Report).
    pub samples: Vec<Sample>,
}

impl<'a> ReceivedReport<'a> {
    /// Decodes a report, as [`decode`] does.
    ///
    /// # Errors
    ///
    /// As [`decode`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        usual(bytes).map_or_else(|| decode(bytes), Ok)
    }
}

/// The report, if it is a usual one.
fn usual(bytes: &[u8]) -> Option<ReceivedReport<'_>> {
    let mut rest = Rest(bytes);
    rest.literal(b"\x83\xa4node")?;
    let node = rest.short_text()?;
    rest.literal(b"\xa4boot")?;
    let boot = rest.unsigned()?;
    rest.literal(b"\xa7samples")?;
    let samples = (0..rest.length(0x90)?).map(|_| sample(&mut rest)).collect::<Option<_>>()?;
    // One with a hello comes once a minute.
    Some(ReceivedReport { node, boot, hello: None, samples })
}

fn sample(rest: &mut Rest<'_>) -> Option<Sample> {
    let mut fields = rest.length(0x80)?.checked_sub(5)?;
    rest.literal(b"\xa3seq")?;
    let seq = rest.unsigned()?;
    rest.literal(b"\xa5at_ms")?;
    let at_ms = rest.unsigned()?.try_into().ok()?;
    rest.literal(b"\xaaelapsed_ms")?;
    let elapsed_ms = rest.small()?;
    rest.literal(b"\xa8rx_bytes")?;
    let rx_bytes = rest.unsigned()?;
    rest.literal(b"\xa8tx_bytes")?;
    let tx_bytes = rest.unsigned()?;
    let rx_bps = rest.optional(&mut fields, b"\xa6rx_bps", Rest::rate)?;
    let tx_bps = rest.optional(&mut fields, b"\xa6tx_bps", Rest::rate)?;
    let interfaces = rest.optional(&mut fields, b"\xaainterfaces", interfaces)?;
    let host = rest.optional(&mut fields, b"\xa4host", host)?;
    (fields == 0).then_some(Sample {
        seq,
        at_ms,
        elapsed_ms,
        rx_bytes,
        tx_bytes,
        rx_bps,
        tx_bps,
        interfaces,
        host,
    })
}

fn interfaces(rest: &mut Rest<'_>) -> Option<Vec<InterfaceRate>> {
    (0..rest.length(0x90)?).map(|_| interface(rest)).collect()
}

fn interface(rest: &mut Rest<'_>) -> Option<InterfaceRate> {
    rest.literal(b"\x83\xa4name")?;
    let name = rest.short_text()?.to_owned();
    rest.literal(b"\xa6rx_bps")?;
    let rx_bps = rest.rate()?;
    rest.literal(b"\xa6tx_bps")?;
    let tx_bps = rest.rate()?;
    Some(InterfaceRate { name, rx_bps, tx_bps })
}

fn host(rest: &mut Rest<'_>) -> Option<Box<Host>> {
    let left = &mut rest.length(0x80)?;
    let host = Host {
        cpu_percent: rest.optional(left, b"\xabcpu_percent", Rest::finite)?,
        cpu_count: rest.optional(left, b"\xa9cpu_count", Rest::small)?,
        cpu_mhz: rest.optional(left, b"\xa7cpu_mhz", Rest::small)?,
        memory_used_bytes: rest.optional(left, b"\xb1memory_used_bytes", Rest::unsigned)?,
        memory_total_bytes: rest.optional(left, b"\xb2memory_total_bytes", Rest::unsigned)?,
        swap_used_bytes: rest.optional(left, b"\xafswap_used_bytes", Rest::unsigned)?,
        swap_total_bytes: rest.optional(left, b"\xb0swap_total_bytes", Rest::unsigned)?,
        disk_used_bytes: rest.optional(left, b"\xafdisk_used_bytes", Rest::unsigned)?,
        disk_total_bytes: rest.optional(left, b"\xb0disk_total_bytes", Rest::unsigned)?,
        disk_read_bps: rest.optional(left, b"\xaddisk_read_bps", Rest::rate)?,
        disk_write_bps: rest.optional(left, b"\xaedisk_write_bps", Rest::rate)?,
        load_1: rest.optional(left, b"\xa6load_1", Rest::finite)?,
        load_5: rest.optional(left, b"\xa6load_5", Rest::finite)?,
        load_15: rest.optional(left, b"\xa7load_15", Rest::finite)?,
        uptime_s: rest.optional(left, b"\xa8uptime_s", Rest::unsigned)?,
        temperature_c: rest.optional(left, b"\xadtemperature_c", Rest::finite)?,
        fan_rpm: rest.optional(left, b"\xa7fan_rpm", Rest::small)?,
        processes: rest.optional(left, b"\xa9processes", Rest::small)?,
        network_errors: rest.optional(left, b"\xaenetwork_errors", Rest::unsigned)?,
        network_drops: rest.optional(left, b"\xadnetwork_drops", Rest::unsigned)?,
    };
    (*left == 0).then(|| Box::new(host))
}

/// What has not been read yet. Its methods give nothing for what is not usual.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    /// The number of entries of a map (0x80) or an array (0x90).
    fn length(&mut self, kind: u8) -> Option<u8> {
        match self.bytes()? {
            [marker] if marker & 0xf0 == kind => Some(marker & 0x0f),
            // A host that tells all it can has more than 15 metrics.
            [0xde] if kind == 0x80 => u16::from_be_bytes(self.bytes()?).try_into().ok(),
            _ => None,
        }
    }

    /// Text of up to 31 bytes.
    fn short_text(&mut self) -> Option<&'a str> {
        let [marker] = self.bytes()?;
        let length = (marker & 0xe0 == 0xa0).then_some(usize::from(marker & 0x1f))?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }

    fn unsigned(&mut self) -> Option<u64> {
        let [marker] = self.bytes()?;
        Some(match marker {
            ..0x80 => u64::from(marker),
            0xcc => u64::from(u8::from_be_bytes(self.bytes()?)),
            0xcd => u64::from(u16::from_be_bytes(self.bytes()?)),
            0xce => u64::from(u32::from_be_bytes(self.bytes()?)),
            0xcf => u64::from_be_bytes(self.bytes()?),
            _ => return None,
        })
    }

    fn small(&mut self) -> Option<u32> {
        self.unsigned()?.try_into().ok()
    }

    fn finite(&mut self) -> Option<f64> {
        self.literal(b"\xcb")?;
        Some(f64::from_be_bytes(self.bytes()?)).filter(|number| number.is_finite())
    }

    fn rate(&mut self) -> Option<Bps> {
        Bps::new(self.finite()?)
    }

    /// The value of a field that may be absent, if any of the `left` fields may still come and it is this one.
    fn optional<T>(
        &mut self,
        left: &mut u8,
        key: &[u8],
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if *left == 0 || self.literal(key).is_none() {
            return Some(None);
        }
        *left -= 1;
        read(self).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{NodeId, Report, encode};

    /// All metrics, or those that a small machine has.
    fn host(seed: u64, rate: Option<Bps>) -> Host {
        let some = Host {
            cpu_percent: Some(12.5),
            cpu_count: Some(seed as u32),
            memory_used_bytes: Some(seed),
            load_15: Some(0.5),
            processes: Some(200),
            ..Host::default()
        };
        if seed.is_multiple_of(2) {
            return some;
        }
        Host {
            cpu_mhz: Some(3_000),
            memory_total_bytes: Some(seed),
            swap_used_bytes: Some(0),
            swap_total_bytes: Some(1 << 30),
            disk_used_bytes: Some(1 << 40),
            disk_total_bytes: Some(1 << 41),
            disk_read_bps: rate,
            disk_write_bps: rate,
            load_1: Some(0.0),
            load_5: Some(128.25),
            uptime_s: Some(seed),
            temperature_c: Some(-1.5),
            fan_rpm: Some(900),
            network_errors: Some(1),
            network_drops: Some(seed),
            ..some
        }
    }

    fn report(seq: u64, at_ms: i64, rate: Option<f64>, is_full: bool) -> Report {
        let rate = rate.and_then(Bps::new);
        let interface =
            InterfaceRate { name: "eth0".to_owned(), rx_bps: rate.unwrap_or_default(), tx_bps: Bps::ZERO };
        let sample = Sample {
            seq,
            at_ms,
            elapsed_ms: 1_000,
            rx_bytes: seq.wrapping_mul(1_000_003),
            tx_bytes: 7,
            rx_bps: rate,
            tx_bps: rate,
            interfaces: is_full.then(|| vec![interface]),
            host: is_full.then(|| Box::new(host(seq, rate))),
        };
        let node = NodeId::from_name("web-01").unwrap();
        Report { node, boot: seq / 2, hello: None, samples: vec![sample.clone(), sample] }
    }

    proptest! {
        #[test]
        fn what_agents_send_is_usual(
            seq in any::<u64>(),
            at_ms in 0_i64..,
            rate in proptest::option::of(0.0..1e12_f64),
            is_full in any::<bool>(),
        ) {
            let report = report(seq, at_ms, rate, is_full);
            let bytes = encode(&report);
            let read = usual(&bytes).unwrap();
            prop_assert_eq!(&read, &decode::<ReceivedReport<'_>>(&bytes).unwrap());
            prop_assert_eq!((read.node, read.boot), (report.node.as_str(), report.boot));
            prop_assert_eq!((read.hello, read.samples), (report.hello, report.samples));
        }

        /// Bytes that are nearly a report reach deeper than noise does.
        #[test]
        fn nothing_is_usual_that_is_not_valid(
            seq in any::<u64>(),
            is_full in any::<bool>(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            length in any::<prop::sample::Index>(),
            is_cut in any::<bool>(),
        ) {
            let mut bytes = encode(&report(seq, 1_700_000_000_000, Some(1e6), is_full));
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if is_cut {
                bytes.truncate(length.index(bytes.len()));
            }
            if let Some(read) = usual(&bytes) {
                prop_assert_eq!(format!("{read:?}"), format!("{:?}", decode::<ReceivedReport<'_>>(&bytes).unwrap()));
            }
        }
    }

    #[test]
    fn what_is_unusual_is_read_all_the_same() {
        // Fields in another order, and one that is not known.
        let json = serde_json::json!({"later": 1, "samples": [], "boot": 3, "node": "web-01"});
        let bytes = encode(&json);
        assert_eq!(usual(&bytes), None);
        let read = ReceivedReport::decode(&bytes).unwrap();
        assert_eq!((read.node, read.boot, read.samples), ("web-01", 3, vec![]));
        let hello = Hello { hostname: "web-01".to_owned(), ..Hello::default() };
        let first = Report { hello: Some(Box::new(hello)), ..report(1, 1, None, true) };
        let bytes = encode(&first);
        assert_eq!(usual(&bytes), None);
        assert_eq!(ReceivedReport::decode(&bytes).unwrap().hello, first.hello);
        let before_1970 = encode(&report(1, -5, None, false));
        assert_eq!(usual(&before_1970), None);
        assert_eq!(ReceivedReport::decode(&before_1970).unwrap().samples[0].at_ms, -5);
        assert!(ReceivedReport::decode(b"\x83\xa4node").is_err());
    }
}
