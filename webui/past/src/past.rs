//! What moved over a range of time, from the API's answer.

mod curve;

use tidemap_parts::value::{Invalid, Text, Value};
use tidemap_wire::http::HistoryJson;

use crate::host::{self, HostLine};

pub use curve::{Column, Curve};

/// What moved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Begin of the first step, Unix milliseconds.
    pub from_ms: i64,
    /// End of the last step.
    pub to_ms: i64,
    /// Length of a step.
    pub step_ms: i64,
    /// Steps that end later may still grow.
    pub complete_until_ms: i64,
    /// Whether any of them may.
    pub is_partial: bool,
    /// Download, then upload.
    pub sides: [Side; 2],
    /// How much of the time that is over is known, 0 to 1.
    pub known: f64,
    /// Begin of the first step of which anything is known.
    pub since_ms: Option<i64>,
    /// Whether it is that of one node.
    pub is_nodes: bool,
    /// What is known of the node's host.
    pub host: Vec<HostLine>,
}

/// One direction. Rates are bytes per second, absent where nothing is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// The mean rate of each step.
    pub mean: Vec<Option<f64>>,
    /// The highest.
    pub most: Vec<Option<f64>>,
    /// The lowest.
    pub least: Vec<Option<f64>>,
    /// How much time of each step is known, in milliseconds.
    pub known_ms: Vec<f64>,
    /// Bytes that moved at known moments.
    pub bytes: f64,
    /// Bytes that moved at a moment that is not known.
    pub unplaced_bytes: f64,
}

/// The highest rate of a direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// The step.
    pub step: usize,
    /// Bytes per second.
    pub rate: f64,
}

impl Past {
    /// Reads the answer about one node, or about the fleet.
    ///
    /// # Errors
    ///
    /// When it is not such an answer.
    pub fn read(text: &Text, is_nodes: bool) -> Result<Self, Invalid> {
        let answer = Value::parse(text)?;
        let json = history(&answer)?;
        let columns = [
            &json.rx_bytes,
            &json.tx_bytes,
            &json.rx_max_bps,
            &json.tx_max_bps,
            &json.rx_min_bps,
            &json.tx_min_bps,
        ];
        let steps = json.covered_ms.len();
        if json.step_ms == 0 || columns.iter().any(|column| column.len() != steps) {
            Err(Invalid)
        } else {
            let host = if is_nodes { host::lines(&answer, steps)? } else { Vec::new() };
            Ok(Self { host, ..Self::new(&json, is_nodes) })
        }
    }

    fn new(json: &HistoryJson, is_nodes: bool) -> Self {
        let step_ms = json.step_ms as i64;
        let begin = |at: usize| json.from_ms + at as i64 * step_ms;
        let covered = |at: usize| json.covered_ms[at] as f64;
        let ended_ms = |at: usize| {
            let ended_ms = json.complete_until_ms.clamp(begin(at), begin(at) + step_ms) - begin(at);
            // A step may be known before it is said to be complete.
            if ended_ms > 0 { ended_ms as f64 } else { covered(at).min(step_ms as f64) }
        };
        let time_ms = |at: usize| if ended_ms(at) > 0.0 { ended_ms(at) } else { step_ms as f64 };
        let side = |bytes: &[Option<u64>], most: &[Option<u64>], least: &[Option<u64>], unplaced: &[u64]| {
            let (most, least) = (floats(most), floats(least));
            let mut side = Side {
                bytes: bytes.iter().flatten().sum::<u64>() as f64,
                unplaced_bytes: unplaced.iter().sum::<u64>() as f64,
                ..Side::default()
            };
            for (at, bytes) in bytes.iter().enumerate() {
                let time_ms = if is_nodes { covered(at) } else { time_ms(at) };
                let known = bytes.map(|bytes| known(bytes as f64, time_ms, least[at], most[at]));
                side.mean.push(known.map(|(mean, _)| mean));
                side.known_ms.push(known.map_or(0.0, |(_, known_ms)| known_ms));
            }
            Side { most, least, ..side }
        };
        let steps = json.covered_ms.len();
        let over_ms: f64 = (0..steps).map(ended_ms).sum();
        let known_ms: f64 = if is_nodes {
            (0..steps).map(covered).sum()
        } else {
            (0..steps).filter(|at| json.covered_ms[*at] > 0).map(ended_ms).sum()
        };
        Self {
            from_ms: json.from_ms,
            to_ms: begin(steps),
            step_ms,
            complete_until_ms: json.complete_until_ms,
            is_partial: json.partial,
            sides: [
                side(&json.rx_bytes, &json.rx_max_bps, &json.rx_min_bps, &json.unplaced_rx_bytes),
                side(&json.tx_bytes, &json.tx_max_bps, &json.tx_min_bps, &json.unplaced_tx_bytes),
            ],
            known: if over_ms > 0.0 { (known_ms / over_ms).min(1.0) } else { 0.0 },
            since_ms: json.covered_ms.iter().position(|covered| *covered > 0).map(begin),
            is_nodes,
            host: Vec::new(),
        }
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.sides[0].mean.len()
    }

    /// Begin of a step, Unix milliseconds.
    pub fn begin_ms(&self, step: usize) -> i64 {
        self.from_ms + step as i64 * self.step_ms
    }
}

impl Side {
    /// The mean rate of all that is known.
    pub fn mean_rate(&self) -> Option<f64> {
        let known_ms: f64 = self.known_ms.iter().sum();
        (known_ms > 0.0).then(|| self.bytes / known_ms * 1000.0)
    }

    /// The highest rate, and when it was first.
    pub fn peak(&self) -> Option<Peak> {
        let mut peak: Option<Peak> = None;
        for (step, rate) in self.most.iter().enumerate() {
            if let Some(rate) = rate.filter(|rate| peak.is_none_or(|peak| *rate > peak.rate)) {
                peak = Some(Peak { step, rate });
            }
        }
        peak
    }
}

/// The mean rate of some bytes, and the milliseconds in which they moved. Of a group the API does not tell
/// how much of a step is known: its mean is between the lowest and the highest rate of the step's minutes.
fn known(bytes: f64, time_ms: f64, least: Option<f64>, most: Option<f64>) -> (f64, f64) {
    let mean = bytes / time_ms.max(1.0) * 1000.0;
    let bounded = mean.max(least.unwrap_or(0.0)).min(most.unwrap_or(f64::INFINITY));
    let is_given = bounded > 0.0 && bounded != mean;
    (bounded, if is_given { bytes / bounded * 1000.0 } else { time_ms })
}

fn floats(column: &[Option<u64>]) -> Vec<Option<f64>> {
    column.iter().map(|value| value.map(|value| value as f64)).collect()
}

fn history(value: &Value) -> Result<HistoryJson, Invalid> {
    // Columns without entries are missing.
    let some = |name: &str| {
        let column =
            value.get(name).or_null(|column| column.list(|value| value.or_null(Value::whole::<u64>)));
        column.map(Option::unwrap_or_default)
    };
    let all = |name: &str| value.get(name).or_null(Value::whole_list::<u64>).map(Option::unwrap_or_default);
    Ok(HistoryJson {
        from_ms: value.get("from_ms").signed()?,
        to_ms: value.get("to_ms").signed()?,
        step_ms: value.get("step_ms").whole()?,
        tier_ms: value.get("tier_ms").whole()?,
        complete_until_ms: value.get("complete_until_ms").signed()?,
        partial: value.get("partial").bool()?,
        rx_bytes: some("rx_bytes")?,
        tx_bytes: some("tx_bytes")?,
        rx_bps: some("rx_bps")?,
        tx_bps: some("tx_bps")?,
        rx_max_bps: some("rx_max_bps")?,
        tx_max_bps: some("tx_max_bps")?,
        rx_min_bps: some("rx_min_bps")?,
        tx_min_bps: some("tx_min_bps")?,
        covered_ms: all("covered_ms")?,
        unplaced_rx_bytes: all("unplaced_rx_bytes")?,
        unplaced_tx_bytes: all("unplaced_tx_bytes")?,
        ..HistoryJson::default()
    })
}

#[cfg(test)]
pub(crate) mod tests;
