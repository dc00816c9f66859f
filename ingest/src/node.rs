//! One node: a pure function of the set of its samples.
//!
//! Duplicates and disorder change nothing. Which of an agent's runs is the *current* one decides what is
//! shown as the live rate; samples of older runs still count in the windows.

mod admission;
mod clocks;
mod conduct;
mod jumps;
mod minutes;
mod past;
mod probed;
mod seconds;
mod silence;
mod update;

use serde::{Deserialize, Serialize};
use tidemap_wire::{Bps, Hello, Host, InterfaceRate, Probe, ReceivedReport, Sample, Status};

use crate::{
    agent_run::Run,
    dedup::Novelty,
    minutes::{Added, MinuteRing, Source},
    packed_metadata::{Metadata, PackedMetadata},
    refusal::Refusal,
    window::{Sum, Windows},
};
use past::{Past, who};
use probed::Probed;
use update::Changed;

/// The reporting interval of a node until its first hello.
const DEFAULT_INTERVAL_MS: u32 = 1_000;
/// What ingest knows of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    /// See [`crate::rows`].
    #[serde(default)]
    row: u32,
    current: Run,
    /// Absent while the agent has not restarted and does not probe, no messages were lost and nothing was
    /// refused, as for nearly every node.
    past: Option<Box<Past>>,
    windows: Windows,
    /// A worker of an earlier version leaves it out.
    #[serde(default, skip_serializing_if = "has_no_minutes")]
    minutes: Box<MinuteRing>,
    latest: Latest,
    hello: Option<PackedMetadata<Hello>>,
    interval_ms: u32,
    host: Option<PackedMetadata<Host>>,
    interfaces: Option<PackedMetadata<Vec<InterfaceRate>>>,
    status: Status,
    since_ms: i64,
    seen_ms: i64,
    /// Broker time of the newest report of the current run.
    current_heard_ms: i64,
    skew_ms: i64,
    /// Samples applied, ever.
    samples: u64,
    #[serde(skip)]
    changed: Changed,
    /// The lowest 16 bits of the broker time when interfaces were last published, in seconds.
    #[serde(skip)]
    interfaces_s: u16,
}

// The allocator has size classes of 256 and 320 bytes, and a fleet has many nodes.
const _: () = assert!(size_of::<Node>() <= 256);

/// The newest sample of the current run.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Latest {
    at_ms: i64,
    rx_bps: Option<Bps>,
    tx_bps: Option<Bps>,
}

/// What samples have besides rates.
#[derive(Debug, Default)]
struct Metrics {
    host: Option<Box<Host>>,
    interfaces: Option<Vec<InterfaceRate>>,
    probes: Option<Vec<Probe>>,
}

/// How a report came.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    /// When its newest sample was read, by the host's clock.
    newest_at_ms: i64,
    /// When the broker stored it.
    published_ms: i64,
}

/// Counts of what happened to a report's samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Samples that changed the state.
    pub applied: u64,
    /// Samples that had been applied before.
    pub duplicates: u64,
    /// Samples older than every window.
    pub late: u64,
    /// Rows and late samples for the history that are given up.
    pub history_lost: u64,
    /// Samples of a second agent under the same name.
    pub rivals: u64,
    /// Whether the agent's run is a new one, unless that happens too often to tell.
    pub restarted: bool,
    /// Whether the hello was dropped because it changes too often.
    pub is_hello_refused: bool,
}

impl Node {
    /// A node that was not known before, about to observe its first report.
    pub fn new(row: u32, report: &ReceivedReport<'_>, published_ms: i64) -> Self {
        let times = || report.samples.iter().map(|sample| sample.at_ms);
        let current = Run::new(report.boot, times().min().unwrap_or(published_ms));
        let mut node = Self {
            row,
            current,
            past: None,
            windows: Windows::default(),
            minutes: Box::default(),
            latest: Latest::default(),
            hello: None,
            interval_ms: DEFAULT_INTERVAL_MS,
            host: None,
            interfaces: None,
            status: Status::Online,
            since_ms: published_ms,
            seen_ms: published_ms,
            current_heard_ms: published_ms,
            skew_ms: 0,
            samples: 0,
            changed: Changed::default(),
            interfaces_s: 0,
        };
        node.set_clock(report.boot, clocks::offset(times().max().unwrap_or(published_ms), published_ms));
        node
    }

    /// Applies a report that the broker stored at `published_ms`.
    pub fn observe(&mut self, report: ReceivedReport<'_>, published_ms: i64) -> Observed {
        let mut outcome = Observed::default();
        // A report may have hundreds of samples, and only the newest values are shown.
        let mut newest = Metrics::default();
        let newest_at_ms = report.samples.iter().map(|sample| sample.at_ms).max().unwrap_or(published_ms);
        let arrival = Arrival { newest_at_ms, published_ms };
        for sample in report.samples {
            self.observe_sample(report.boot, sample, arrival, (&mut outcome, &mut newest));
        }
        self.show(newest);
        if outcome.rivals > 0
            && let Some(hello) = &report.hello
        {
            self.past_mut().other = Some(who(hello));
        }
        // A report without new samples, from a second agent or sent again, does not prove that the node is
        // alive.
        if outcome.applied == 0 {
            return outcome;
        }
        self.seen_ms = self.seen_ms.max(published_ms);
        self.changed.any = true;
        if report.boot == self.current.boot {
            self.current_heard_ms = self.current_heard_ms.max(published_ms);
            if let Some(hello) = report.hello {
                outcome.is_hello_refused = !self.update_hello(&hello, published_ms);
            }
        }
        outcome
    }

    /// Reads a little of each part that a report changes, so that the processor loads it. The sum has no
    /// meaning.
    pub fn prefetch(&self) -> u64 {
        let parts = [
            self.current.boot,
            self.latest.at_ms.cast_unsigned(),
            self.seen_ms.cast_unsigned(),
            self.samples,
        ];
        parts.into_iter().fold(0, u64::wrapping_add)
    }

    /// Who this node is, and who reports or reported under the same id, as far as both are known.
    pub fn claimants(&self) -> (Option<Box<str>>, Option<Box<str>>) {
        (self.who(), self.past.as_ref().and_then(|past| past.other.clone()))
    }

    fn who(&self) -> Option<Box<str>> {
        self.hello.as_ref().and_then(PackedMetadata::unpack).as_ref().map(who)
    }

    /// Notes that a report of this node, or a part of one, was refused.
    pub fn refuse(&mut self, reason: Refusal) {
        self.past_mut().conduct.refuse(reason);
        self.changed.any = true;
    }

    /// Cuts off what is beyond the bounds of a report, as a checkpoint of an earlier version may have it.
    /// Returns whether anything was.
    pub fn bound(&mut self) -> bool {
        let probed = self.past.as_mut().and_then(|past| past.probed.as_mut());
        let is_cut = [
            probed.is_some_and(|probed| bound_packed(&mut probed.found, Probe::bound_all)),
            bound_packed(&mut self.hello, Hello::bound),
            bound_packed(&mut self.host, Host::bound),
            bound_packed(&mut self.interfaces, InterfaceRate::bound_all),
        ];
        is_cut.contains(&true)
    }

    pub fn row(&self) -> u32 {
        self.row
    }

    pub fn row_mut(&mut self) -> &mut u32 {
        &mut self.row
    }

    /// Broker time of the newest report.
    pub fn seen_ms(&self) -> i64 {
        self.seen_ms
    }

    /// Whether the node still reports.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Marks the windows as partial, because messages were lost that may have been this node's.
    pub fn lose(&mut self) {
        self.past_mut().lost_at_ms = Some(self.latest.at_ms);
        self.changed.any = true;
    }

    /// Whether its windows lack messages that were lost.
    pub fn is_partial(&self) -> bool {
        let lost_at_ms = self.past.as_ref().and_then(|past| past.lost_at_ms);
        lost_at_ms.is_some_and(|lost_at_ms| self.latest.at_ms - lost_at_ms < Windows::REACH_MS)
    }

    /// Samples applied, ever.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Download and upload of the newest sample.
    pub fn rates(&self) -> (Option<Bps>, Option<Bps>) {
        (self.latest.rx_bps, self.latest.tx_bps)
    }

    /// The node's recent past.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    fn observe_sample(
        &mut self,
        boot: u64,
        sample: Sample,
        arrival: Arrival,
        (outcome, newest): (&mut Observed, &mut Metrics),
    ) {
        if boot != self.current.boot && self.may_be_forgotten(boot, &sample, arrival.published_ms) {
            outcome.late += 1;
            return;
        }
        if boot != self.current.boot && !self.admit(boot, &sample, arrival, outcome) {
            outcome.rivals += 1;
            return;
        }
        let is_current = boot == self.current.boot;
        let run = if is_current {
            &mut self.current
        } else {
            let mut earlier = self.past.iter_mut().flat_map(|past| &mut past.earlier);
            let Some(run) = earlier.find(|run| run.boot == boot) else { return };
            run
        };
        let before = (run.newest_seq(), [run.rx_bytes, run.tx_bytes]);
        let novelty = run.observe(&sample);
        let first_at_ms = run.first_at_ms;
        if novelty == Novelty::Duplicate {
            outcome.duplicates += 1;
            return;
        }
        let is_newest = is_current && novelty == Novelty::Newest;
        if is_newest {
            outcome.history_lost += self.keep_time(&sample, arrival, before);
        }
        let part = self.part(boot, sample.seq);
        if is_newest && self.windows.is_beyond(sample.at_ms) {
            // The host's clock was put back. Windows that end in the future would show none of what comes, so
            // they start over at the new time, and lack nothing that was lost before.
            self.windows.reset_to(sample.at_ms);
            if let Some(past) = &mut self.past {
                past.lost_at_ms = None;
            }
        }
        // A late sample from before the clock was put back: the windows must not return to that time.
        let is_of_old_time = !is_newest && self.windows.is_ahead(sample.at_ms);
        if novelty == Novelty::Forgotten {
            outcome.late += 1;
            return;
        }
        let sum = sum(&sample);
        if !is_of_old_time {
            outcome.history_lost += self.minutes.advance(&self.windows, sample.at_ms, self.current_source());
        }
        let is_in_windows = !is_of_old_time && self.windows.add(sample.at_ms, sum);
        let added = match part.map(|part| self.source(boot, part, first_at_ms)) {
            Some(source) => {
                let source = Source { is_newest, ..source };
                self.minutes.add(&self.windows, is_in_windows, &sample, sum, source)
            }
            None => {
                self.minutes.exclude(is_in_windows, &sample, sum);
                (Added::Unknown, 0)
            }
        };
        outcome.history_lost += self.keep_late(added, arrival.published_ms);
        if !is_in_windows {
            outcome.late += 1;
            return;
        }
        outcome.applied += 1;
        self.samples += 1;
        if is_newest {
            self.skew_ms = sample.at_ms - arrival.published_ms;
            self.latest = Latest { at_ms: sample.at_ms, rx_bps: sample.rx_bps, tx_bps: sample.tx_bps };
            newest.host = sample.host.or(newest.host.take());
            newest.interfaces = sample.interfaces.or(newest.interfaces.take());
            newest.probes = sample.probes.or(newest.probes.take());
        }
    }

    fn past_mut(&mut self) -> &mut Past {
        self.past.get_or_insert_default()
    }

    fn show(&mut self, newest: Metrics) {
        if let Some(host) = newest.host {
            self.host = Some(PackedMetadata::new(&host));
            self.changed.host = true;
        }
        if let Some(interfaces) = newest.interfaces {
            self.interfaces = Some(PackedMetadata::new(&interfaces));
            self.changed.interfaces = true;
        }
        let newest_at_ms = self.latest.at_ms;
        if let Some(probes) = newest.probes {
            self.past_mut().probed = Some(Probed::new(newest_at_ms, &probes));
            self.changed.probes = true;
        } else if let Some(past) = &mut self.past
            && past.probed.take_if(|probed| probed.is_over(newest_at_ms)).is_some()
        {
            self.changed.probes = true;
        }
    }

    /// Returns whether the hello was accepted: every reader receives it whenever it changes. The agent sends
    /// its present one again each minute, so one that was refused is known later.
    fn update_hello(&mut self, hello: &Hello, published_ms: i64) -> bool {
        // Every update carries the interval, and it decides how long the node may be silent.
        self.interval_ms = hello.interval_ms.clamp(100, 600_000);
        let packed = PackedMetadata::new(hello);
        if self.hello.as_ref() == Some(&packed) {
            return true;
        }
        let is_first = self.hello.is_none();
        if !is_first && !self.past_mut().conduct.admits_hello(published_ms) {
            return false;
        }
        self.hello = Some(packed);
        self.changed.hello = true;
        true
    }
}

fn bound_packed<T: Metadata>(packed: &mut Option<PackedMetadata<T>>, bound: impl Fn(&mut T) -> bool) -> bool {
    let Some(mut value) = packed.as_ref().and_then(PackedMetadata::unpack) else { return false };
    let is_cut = bound(&mut value);
    if is_cut {
        *packed = Some(PackedMetadata::new(&value));
    }
    is_cut
}

#[expect(clippy::borrowed_box, reason = "serde passes the field")]
fn has_no_minutes(minutes: &Box<MinuteRing>) -> bool {
    minutes.is_empty()
}

/// A sample as bytes and covered time. A sample across a gap covers no time. One that covers more time than a
/// bucket can hold counts as a gap, because its rate would not be meaningful.
fn sum(sample: &Sample) -> Sum {
    let bytes = |rate: Option<Bps>| rate.map_or(0, |rate| rate.bytes_in(sample.elapsed_ms));
    let fits = sample.elapsed_ms <= Windows::MAX_COVERED_MS;
    let known = fits && sample.rx_bps.is_some() && sample.tx_bps.is_some();
    Sum {
        rx_bytes: bytes(sample.rx_bps.filter(|_| known)),
        tx_bytes: bytes(sample.tx_bps.filter(|_| known)),
        covered_ms: if known { u64::from(sample.elapsed_ms) } else { 0 },
    }
}

#[cfg(test)]
mod tests;
