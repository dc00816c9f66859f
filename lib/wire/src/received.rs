//! A report as its receiver decodes it.
//!
//! An ingest worker decodes a hundred thousand reports a second, and nearly all have the same fields in the
//! order in which [`Report`](crate::Report) is encoded. Those are read field by field, which takes less than
//! half the time of looking each key up. Any other report is read by [`decode`], which alone decides what is
//! valid. Host metrics come in the order of the registry, because [`Host`] follows from it.

use serde::Deserialize;

use crate::{
    DecodeError, Hello, Host, InterfaceRate, METRICS, Sample, decode,
    field_reader::{FieldReader, key},
    outline,
};

/// Why a report cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It has more values or a longer list than a report may have.
    #[error("the report has more in it than a report may have")]
    TooLong,
    /// It is not a report.
    #[error(transparent)]
    Invalid(#[from] DecodeError),
}

/// A report whose node's name is unverified. It borrows from the message.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ReceivedReport<'a> {
    /// The node that the report claims to be from; the subject must name the same.
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
    /// Decodes a report, as [`decode`] does, unless it has too much in it.
    ///
    /// # Errors
    ///
    /// When it has more in it than a report may have, and as [`decode`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ReportError> {
        if let Some(report) = usual(bytes) {
            return Ok(report);
        }
        if !outline::is_within_bounds(bytes) {
            return Err(ReportError::TooLong);
        }
        Ok(decode(bytes)?)
    }
}

/// The report, if its fields are the usual ones in the usual order.
fn usual(bytes: &[u8]) -> Option<ReceivedReport<'_>> {
    let mut rest = FieldReader(bytes);
    rest.literal(b"\x83")?;
    rest.literal(key!("node"))?;
    let node = rest.short_text()?;
    rest.literal(key!("boot"))?;
    let boot = rest.unsigned()?;
    rest.literal(key!("samples"))?;
    let samples = (0..rest.length(0x90)?).map(|_| sample(&mut rest)).collect::<Option<_>>()?;
    // Reports with a hello come once a minute, so they need no fast path.
    Some(ReceivedReport { node, boot, hello: None, samples })
}

fn sample(rest: &mut FieldReader<'_>) -> Option<Sample> {
    let mut fields = rest.length(0x80)?.checked_sub(5)?;
    rest.literal(key!("seq"))?;
    let seq = rest.unsigned()?;
    rest.literal(key!("at_ms"))?;
    let at_ms = rest.unsigned()?.try_into().ok()?;
    rest.literal(key!("elapsed_ms"))?;
    let elapsed_ms = rest.small()?;
    rest.literal(key!("rx_bytes"))?;
    let rx_bytes = rest.unsigned()?;
    rest.literal(key!("tx_bytes"))?;
    let tx_bytes = rest.unsigned()?;
    let rx_bps = rest.optional(&mut fields, key!("rx_bps"), FieldReader::rate)?;
    let tx_bps = rest.optional(&mut fields, key!("tx_bps"), FieldReader::rate)?;
    let interfaces = rest.optional(&mut fields, key!("interfaces"), interfaces)?;
    let host = rest.optional(&mut fields, key!("host"), host)?;
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
        // A report with probes comes once a minute, so it needs no fast path.
        probes: None,
    })
}

fn interfaces(rest: &mut FieldReader<'_>) -> Option<Vec<InterfaceRate>> {
    (0..rest.length(0x90)?).map(|_| interface(rest)).collect()
}

fn interface(rest: &mut FieldReader<'_>) -> Option<InterfaceRate> {
    rest.literal(b"\x83")?;
    rest.literal(key!("name"))?;
    let name = rest.short_text()?.to_owned();
    rest.literal(key!("rx_bps"))?;
    let rx_bps = rest.rate()?;
    rest.literal(key!("tx_bps"))?;
    let tx_bps = rest.rate()?;
    Some(InterfaceRate { name, rx_bps, tx_bps })
}

fn host(rest: &mut FieldReader<'_>) -> Option<Box<Host>> {
    let mut left = rest.length(0x80)?;
    let host = Host::read(rest, &mut left)?;
    for _ in 0..left {
        later_metric(rest)?;
    }
    Some(Box::new(host))
}

/// Skips a metric that a later version has added.
fn later_metric(rest: &mut FieldReader<'_>) -> Option<()> {
    let name = rest.short_text()?;
    let is_later = METRICS.iter().all(|metric| metric.name != name);
    let is_number = if rest.is_at_float() { rest.finite().is_some() } else { rest.unsigned().is_some() };
    (is_later && is_number).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Bps, NodeId, Report, encode, metrics::tests::whole_host};

    /// All metrics, or those that a small machine has.
    fn host(seed: u64) -> Host {
        if seed.is_multiple_of(2) {
            return whole_host(seed);
        }
        Host {
            cpu_percent: Some(12.5),
            cpu_count: Some(seed as u32),
            memory_used_bytes: Some(seed),
            load_15: Some(0.5),
            processes: Some(200),
            ..Host::default()
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
            host: is_full.then(|| Box::new(host(seq))),
            probes: None,
        };
        let node = NodeId::from_name("web-01").unwrap();
        Report { node, boot: seq / 2, hello: None, samples: vec![sample.clone(), sample] }
    }

    proptest! {
        #[test]
        fn reports_of_agents_take_the_fast_path(
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

        /// Bytes that are almost a report reach more code than random bytes do.
        #[test]
        fn the_fast_path_accepts_only_valid_reports(
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
    fn a_report_with_every_metric_takes_the_fast_path() {
        let mut full = report(2, 1, Some(1e6), true);
        full.samples.truncate(1);
        let bytes = encode(&full);
        let read = usual(&bytes).unwrap();
        assert!(read.samples[0].host.as_ref().unwrap().values().iter().all(Option::is_some));
        assert_eq!(read.samples, full.samples);
    }

    #[test]
    fn the_fast_path_skips_metrics_of_later_versions() {
        let with_host = |fields: &[u8]| {
            let mut plain = report(1, 1, None, true);
            plain.samples.truncate(1);
            plain.samples[0].host = Some(Box::default());
            let mut bytes = encode(&plain);
            assert_eq!(bytes.pop(), Some(0x80), "a host of which nothing is known ends the report");
            bytes.extend(fields);
            bytes
        };
        let bytes = with_host(b"\x83\xa9cpu_count\x07\xa5later\x07\xa4last\xcb\x3f\xf8\0\0\0\0\0\0");
        let read = usual(&bytes).unwrap();
        assert_eq!(read, decode(&bytes).unwrap());
        assert_eq!(read.samples[0].host.as_ref().unwrap().cpu_count, Some(7));
        // A known metric in another place, and values that are no metric's.
        for unusual in [
            &b"\x82\xa9processes\x07\xa9cpu_count\x07"[..],
            b"\x81\xa5later\xa1x",
            b"\x81\xa5later\xff",
            b"\x81\xa5later\xcb\x7f\xf8\0\0\0\0\0\0",
        ] {
            let bytes = with_host(unusual);
            assert_eq!(usual(&bytes), None);
            assert!(decode::<ReceivedReport<'_>>(&bytes).is_ok());
        }
    }

    #[test]
    fn other_reports_are_read_by_the_slow_path() {
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
