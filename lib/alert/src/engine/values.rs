//! The value of a signal: of one node, and of a sum over several.

use tidemap_traffic::Direction;
use tidemap_wire::{Hello, Host, NodeUpdate, Status};

use super::{
    facts::{NodeFacts, PastRates},
    memory::{Memory, Reading},
};
use crate::{
    quantity,
    rules::{Aggregate, Measure, NoData, Share, Signal, Test, Verdict},
};

/// What links carry at most, received and sent, bytes per second.
pub(super) type Carried = [f64; 2];

/// What a reading means to a rule. `is_known` is false while nobody hears of the target.
pub(super) fn verdict(
    reading: Reading,
    is_known: bool,
    test: &Test,
    signal: Signal,
    no_data: NoData,
) -> Verdict {
    if !is_known {
        return Verdict::Frozen;
    }
    let Some(value) = reading.value else {
        return match no_data {
            // The history has not answered yet.
            _ if reading.is_partial => Verdict::Kept,
            NoData::Ignore => Verdict::Over,
            NoData::Fire => Verdict::Holds,
            NoData::Keep => Verdict::Frozen,
        };
    };
    let verdict = test.judge(value);
    if !reading.is_partial {
        return verdict;
    }
    // What the rest of the window adds can only make it worse.
    let grows = match (signal.measure, signal.aggregate) {
        (Measure::Counter(_), _) | (_, Aggregate::Max) => test.comparison.is_upward(),
        (_, Aggregate::Min) => !test.comparison.is_upward(),
        (_, Aggregate::Mean) => false,
    };
    if grows && verdict == Verdict::Holds { verdict } else { Verdict::Kept }
}

/// The value of a node's signal now.
#[expect(clippy::needless_pass_by_value, reason = "nobody needs the memory afterwards")]
pub(super) fn of_node(
    signal: Signal,
    facts: &NodeFacts<'_>,
    carried: Option<Carried>,
    memory: Option<&mut Memory>,
    now_ms: i64,
) -> Reading {
    let is_reporting = matches!(facts.status, Status::Online | Status::Warning);
    let instant = |signal: Signal| is_reporting.then(|| plain(signal, facts, carried)).flatten();
    match memory {
        None => match signal.measure {
            Measure::Offline | Measure::OfflineShare => {
                Reading::of(Some(f64::from(u8::from(facts.status == Status::Offline))))
            }
            Measure::AgentVersion => {
                Reading::of(facts.hello.and_then(|hello| quantity::version(&hello.agent_version)))
            }
            _ => Reading::of(instant(signal)),
        },
        Some(Memory::Extreme(extreme)) => {
            let value = instant(Signal { window_ms: 0, aggregate: Aggregate::Mean, ..signal });
            extreme.read(now_ms, value)
        }
        Some(Memory::Counter(rise)) => rise.read(now_ms, facts.latest.boot, instant(signal)),
        Some(Memory::Past(past)) => {
            let rates = past.rates(signal.window_ms, now_ms).filter(|_| is_reporting);
            Reading {
                value: rates.and_then(|rates| of_past(signal, rates, carried)),
                is_partial: rates.is_none() && is_reporting,
            }
        }
    }
}

/// The value of a signal that needs no memory.
fn plain(signal: Signal, facts: &NodeFacts<'_>, carried: Option<Carried>) -> Option<f64> {
    match signal.measure {
        Measure::Rate => {
            let [rx, tx] = rates(facts.latest, signal.window_ms);
            directed(signal.direction, rx, tx)
        }
        Measure::Utilisation => {
            let [rx, tx] = rates(facts.latest, signal.window_ms);
            used(signal.direction, [rx?, tx?], carried?)
        }
        Measure::Host(id) | Measure::Counter(id) => facts.host?.get(id).map(|value| value.as_f64()),
        Measure::Used(share) => of_share(share, facts.host?),
        Measure::ClockSkew => Some(facts.latest.skew_ms.unsigned_abs() as f64),
        _ => None,
    }
}

fn of_share(share: Share, host: &Host) -> Option<f64> {
    match share {
        Share::Memory => host.memory_percent(),
        Share::Swap => host.swap_percent(),
        Share::Disk => host.disk_percent(),
    }
}

/// Received and sent, over one of the windows that workers keep.
pub(super) fn rates(latest: &NodeUpdate, window_ms: i64) -> [Option<f64>; 2] {
    let pair = match window_ms {
        0 => [latest.rx_bps, latest.tx_bps],
        10_000 => [latest.rx_avg.s10, latest.tx_avg.s10],
        60_000 => [latest.rx_avg.m1, latest.tx_avg.m1],
        300_000 => [latest.rx_avg.m5, latest.tx_avg.m5],
        _ => [latest.rx_avg.m15, latest.tx_avg.m15],
    };
    pair.map(|rate| rate.map(tidemap_wire::Bps::get))
}

/// The rate that counts.
pub(super) fn directed(direction: Direction, rx: Option<f64>, tx: Option<f64>) -> Option<f64> {
    match direction {
        Direction::In => rx,
        Direction::Out => tx,
        Direction::Both => Some(rx? + tx?),
        Direction::Larger => Some(rx?.max(tx?)),
        Direction::Smaller => Some(rx?.min(tx?)),
    }
}

/// Rates in percent of what links carry.
pub(super) fn used(direction: Direction, rates: [f64; 2], carried: Carried) -> Option<f64> {
    let percent = |rate: f64, most: f64| (most > 0.0).then(|| rate / most * 100.0);
    match direction {
        Direction::Both => percent(rates[0] + rates[1], carried[0] + carried[1]),
        _ => directed(direction, percent(rates[0], carried[0]), percent(rates[1], carried[1])),
    }
}

/// A value that was compared, in percent of what links carry; `None` where it says nothing of one direction.
pub(super) fn of_link(direction: Direction, value: f64, carried: Carried) -> Option<f64> {
    match direction {
        Direction::In | Direction::Out => used(direction, [value, value], carried),
        Direction::Larger if carried[0] == carried[1] => used(direction, [value, value], carried),
        _ => None,
    }
}

/// The value of a window of the past.
pub(super) fn of_past(signal: Signal, past: PastRates, carried: Option<Carried>) -> Option<f64> {
    let rates = match signal.aggregate {
        Aggregate::Mean => [past.rx_bps, past.tx_bps],
        Aggregate::Max => [past.rx_max_bps, past.tx_max_bps],
        Aggregate::Min => [past.rx_min_bps, past.tx_min_bps],
    };
    match signal.measure {
        Measure::Utilisation => used(signal.direction, rates, carried?),
        _ => directed(signal.direction, Some(rates[0]), Some(rates[1])),
    }
}

/// What the node's links carry, as far as it is known.
pub(super) fn carried(hello: &Hello) -> Option<Carried> {
    hello.capacity().map(|capacity| [capacity.rx_bps.get(), capacity.tx_bps.get()])
}
