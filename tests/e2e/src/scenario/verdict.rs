//! The result of a scenario.

use std::{collections::BTreeMap, fmt, io::Write, time::Duration};

use super::Audit;
use tidemap_testkit::{
    is_long, machine,
    watch::{Seen, percentile},
};

use crate::oracle::Expected;

/// One broker, worker or test that stands still while another takes over adds so much to a pause at most. The
/// leases' own times are those of the tests of ingest.
const STALL: Duration = Duration::from_secs(20);

/// The result of a scenario, in one line.
#[derive(Debug)]
pub struct Verdict {
    name: &'static str,
    nodes: usize,
    /// Samples that the broker has acknowledged.
    pub acknowledged: u64,
    /// Samples that the workers say they have applied.
    pub applied: u64,
    /// Samples that the workers say were older than every window, over all owners that there were.
    pub late: u64,
    /// What became of each sample, by what the workers have left behind.
    pub audit: Audit,
    /// Samples that arrived again and were dropped.
    pub duplicates: u64,
    /// How long partitions published nothing.
    pub pauses: Vec<Duration>,
    /// The same, when one owner handed over to the next.
    pub hand_overs: Vec<Duration>,
    /// How often a partition got another owner.
    pub successions: u64,
    /// Messages of owners that another owner had replaced.
    pub outranked: u64,
    /// Deltas that the API has dropped because they were old.
    pub stale: u64,
    /// Where the API went back in time.
    pub regressions: Vec<String>,
    /// Where the history and the acknowledged samples differ, in the end or at any moment before.
    pub history: Vec<String>,
    /// Of how many nodes the history was read while the scenario ran.
    pub watched: usize,
    /// Where the API and the oracle differ.
    pub mismatches: Option<String>,
}

impl Verdict {
    pub(super) fn new(
        name: &'static str,
        truth: &BTreeMap<String, Expected>,
        seen: &Seen,
        audit: Audit,
    ) -> Self {
        Self {
            name,
            nodes: truth.len(),
            acknowledged: truth.values().map(|node| node.samples).sum(),
            applied: seen.applied(),
            late: seen.sum(|stats| stats.late),
            audit,
            duplicates: seen.sum(|stats| stats.duplicates),
            pauses: seen.pauses.clone(),
            hand_overs: seen.hand_overs.clone(),
            successions: seen.successions,
            outranked: seen.outranked,
            stale: 0,
            regressions: Vec::new(),
            history: Vec::new(),
            watched: 0,
            mismatches: None,
        }
    }

    /// Fails unless each sample that was acknowledged was applied, and once; every average and total is
    /// right; the API never went back; and no partition was silent for longer than `longest_pause`, and in
    /// the short form for as long as a process may stand still at any moment.
    pub fn assert_held(&self, longest_pause: Duration) {
        let longest_pause =
            machine::scaled_again(longest_pause) + if is_long() { Duration::ZERO } else { STALL };
        let Audit { applied, late, missing, surplus } = &self.audit;
        assert!(self.mismatches.is_none(), "{self}");
        assert!(missing.is_empty() && surplus.is_empty(), "{self}: missing {missing:?}, surplus {surplus:?}");
        assert_eq!(applied + late, self.acknowledged, "{self}");
        assert_eq!(*applied, self.applied, "{self}: {applied} were kept");
        assert!(*late <= self.late, "{self}: {late} were passed over, and only so many were counted as late");
        assert!(self.history.is_empty(), "{self}: {:?}", &self.history);
        assert!(self.watched > 0, "{self}: nobody has read the history meanwhile");
        assert!(self.regressions.is_empty(), "{self}: {:?}", &self.regressions);
        assert!(self.pauses.iter().all(|pause| *pause <= longest_pause), "{self}");
    }

    /// Writes the line where a passing test's words are seen too.
    pub(super) fn print(&self) {
        // Nobody reads it when this fails.
        writeln!(std::io::stderr(), "{self}").ok();
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, nodes, acknowledged, applied, duplicates, successions, outranked, stale, .. } = self;
        let audit = &self.audit;
        write!(
            f,
            "{name}: {acknowledged} samples acknowledged, {applied} applied, {} late, {} missing, {} surplus, \
             {duplicates} duplicates dropped, takeover gap {}, hand-over {}, {successions} new owners, \
             {outranked} outranked messages, {stale} stale deltas dropped, {} regressions, {} nodes wrong in \
             the history, which was read of {} meanwhile, ",
            audit.late,
            audit.missing(),
            audit.surplus(),
            gaps(&self.pauses),
            gaps(&self.hand_overs),
            self.regressions.len(),
            self.history.len(),
            self.watched,
        )?;
        match &self.mismatches {
            None => write!(f, "the oracle held for {nodes} nodes"),
            Some(mismatches) => write!(f, "THE ORACLE DID NOT HOLD: {mismatches}"),
        }
    }
}

fn gaps(gaps: &[Duration]) -> String {
    let [p50, p99] = [50, 99].map(|percent| percentile(gaps, percent));
    match (p50, p99) {
        (Some(p50), Some(p99)) => {
            format!("p50 {:.1} s p99 {:.1} s ({})", p50.as_secs_f64(), p99.as_secs_f64(), gaps.len())
        }
        _ => "none".to_owned(),
    }
}
