//! One node: a pure function of the set of its samples.
//!
//! Duplicates and disorder change nothing. Which of an agent's runs is the *current* one decides what is
//! shown as the live rate; samples of older runs still count in the windows.

mod conduct;
mod past;
mod update;

use serde::{Deserialize, Serialize};
use tidemap_wire::{Bps, Hello, Host, InterfaceRate, ReceivedReport, Sample, Status};

use crate::{
    agent_run::Run,
    dedup::Novelty,
    packed_metadata::{Metadata, PackedMetadata},
    refusal::Refusal,
    window::{Sum, Windows},
};
use past::{Past, who};
use update::Changed;

/// The reporting interval of a node until its first hello.
const DEFAULT_INTERVAL_MS: u32 = 1_000;
/// A node is online for at least this long after a report, however short its interval.
const MIN_ONLINE_MS: i64 = 5_000;

/// The broker's time is known to a few seconds: a report may seem to be from a future as near as this.
const FUTURE_MS: i64 = 10_000;

/// What ingest knows of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    /// See [`crate::rows`].
    #[serde(default)]
    row: u32,
    current: Run,
    /// Absent while the agent has not restarted, no messages were lost and nothing was refused, as for nearly
    /// every node.
    past: Option<Box<Past>>,
    windows: Windows,
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
        let first_at_ms = report.samples.iter().map(|sample| sample.at_ms).min().unwrap_or(published_ms);
        Self {
            row,
            current: Run::new(report.boot, first_at_ms),
            past: None,
            windows: Windows::default(),
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
        }
    }

    /// Applies a report that the broker stored at `published_ms`.
    pub fn observe(&mut self, report: ReceivedReport<'_>, published_ms: i64) -> Observed {
        let mut outcome = Observed::default();
        // A report may have hundreds of samples, and only the newest values are shown.
        let mut newest = Metrics::default();
        for sample in report.samples {
            self.observe_sample(report.boot, sample, published_ms, (&mut outcome, &mut newest));
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

    /// Heals after the broker's clock was put back: what was heard in its future counts as heard now.
    fn follow(&mut self, now_ms: i64) {
        if self.seen_ms.max(self.current_heard_ms) <= now_ms + FUTURE_MS {
            return;
        }
        for heard_ms in [&mut self.seen_ms, &mut self.current_heard_ms, &mut self.since_ms] {
            *heard_ms = now_ms.min(*heard_ms);
        }
        self.changed.any = true;
    }

    /// Judges whether the node still reports. `alive_ms` is the earliest time from which silence counts,
    /// because no node can report while the broker is away. Returns the new status if it has changed.
    pub fn judge(&mut self, now_ms: i64, alive_ms: i64, offline_after_ms: i64) -> Option<Status> {
        self.follow(now_ms);
        let heard_ms = self.seen_ms.max(alive_ms);
        let (status, since_ms) = if now_ms - heard_ms < self.online_limit_ms() {
            (Status::Online, heard_ms)
        } else if now_ms - heard_ms < offline_after_ms {
            (Status::Warning, heard_ms + self.online_limit_ms())
        } else {
            (Status::Offline, heard_ms + offline_after_ms)
        };
        // Only a report makes a silent node come back; the broker's return alone does not.
        let only_by_grace = status < self.status && now_ms - self.seen_ms >= self.online_limit_ms();
        if status == self.status || only_by_grace {
            return None;
        }
        self.status = status;
        // Computed from the report's time, so that a worker that replays the log an hour later gets the same
        // value.
        self.since_ms = since_ms;
        self.changed.any = true;
        Some(status)
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
        let is_cut = [
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
        published_ms: i64,
        (outcome, newest): (&mut Observed, &mut Metrics),
    ) {
        if boot != self.current.boot && !self.admit(boot, &sample, published_ms, outcome) {
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
        let novelty = run.observe(&sample);
        if novelty == Novelty::Duplicate {
            outcome.duplicates += 1;
            return;
        }
        let is_newest = is_current && novelty == Novelty::Newest;
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
        if novelty == Novelty::Forgotten || is_of_old_time || !self.windows.add(sample.at_ms, sum(&sample)) {
            outcome.late += 1;
            return;
        }
        outcome.applied += 1;
        self.samples += 1;
        if is_newest {
            self.skew_ms = sample.at_ms - published_ms;
            self.latest = Latest { at_ms: sample.at_ms, rx_bps: sample.rx_bps, tx_bps: sample.tx_bps };
            newest.host = sample.host.or(newest.host.take());
            newest.interfaces = sample.interfaces.or(newest.interfaces.take());
        }
    }

    /// Returns whether a sample of another run than the current one may be applied, and makes its run known;
    /// `false` for a second agent.
    ///
    /// A run that began after the current one is a restart and becomes current. One that began before is an
    /// old run with late samples, unless it has samples from after the current run's beginning: then two
    /// agents use one name, and the newer one keeps it as long as it reports.
    fn admit(&mut self, boot: u64, sample: &Sample, published_ms: i64, outcome: &mut Observed) -> bool {
        let earlier = self.past.as_ref().map_or(&[][..], |past| &past.earlier);
        let known = earlier.iter().position(|run| run.boot == boot);
        let after = sample.at_ms >= self.current.first_at_ms;
        let current_is_silent = published_ms - self.current_heard_ms >= self.online_limit_ms();
        if known.is_some_and(|place| earlier[place].has_seen(sample.seq)) {
            // A repeated sample neither makes an old run current nor proves that there is a second agent.
            return true;
        }
        let becomes_current = current_is_silent || (after && known.is_none());
        if !becomes_current && after {
            return false;
        }
        let run =
            known.map_or_else(|| Run::new(boot, sample.at_ms), |place| self.past_mut().earlier.remove(place));
        let older = if becomes_current {
            self.past_mut().other = self.who();
            outcome.restarted |= self.past_mut().conduct.admits_restart(published_ms);
            std::mem::replace(&mut self.current, run)
        } else {
            run
        };
        self.past_mut().remember(older);
        true
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

    fn online_limit_ms(&self) -> i64 {
        (i64::from(self.interval_ms) * 3).max(MIN_ONLINE_MS)
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
