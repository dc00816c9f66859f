//! What a trial shows.

use std::{collections::BTreeMap, fmt, io::Write, time::Duration};

use crate::{
    oracle::Expected,
    watch::{Seen, percentile},
};

/// What a trial shows, in one line.
#[derive(Debug)]
pub struct Verdict {
    name: &'static str,
    nodes: usize,
    /// Samples that the broker has acknowledged.
    pub acknowledged: u64,
    /// Samples that the workers' state contains.
    pub applied: u64,
    /// Samples that arrived when no window reached back to them any more; they count in totals only.
    pub late: u64,
    /// Samples that arrived again and were dropped.
    pub duplicates: u64,
    /// For how long partitions said nothing.
    pub pauses: Vec<Duration>,
    /// The same, when one owner followed the other in peace.
    pub hand_overs: Vec<Duration>,
    /// How often a partition got another owner.
    pub successions: u64,
    /// Messages of owners that had been outranked.
    pub outranked: u64,
    /// Where the api went back in time.
    pub regressions: Vec<String>,
    /// Where the api says something else than the oracle.
    pub mismatches: Option<String>,
}

impl Verdict {
    pub(super) fn new(
        name: &'static str,
        truth: &BTreeMap<String, Expected>,
        seen: &Seen,
        regressions: Vec<String>,
        mismatches: Option<String>,
    ) -> Self {
        Self {
            name,
            nodes: truth.len(),
            acknowledged: truth.values().map(|node| node.samples).sum(),
            applied: seen.applied(),
            late: seen.newest().values().map(|stats| stats.late).sum(),
            duplicates: seen.sum(|stats| stats.duplicates),
            pauses: seen.pauses.clone(),
            hand_overs: seen.hand_overs.clone(),
            successions: seen.successions,
            outranked: seen.outranked,
            regressions,
            mismatches,
        }
    }

    /// Acknowledged samples that no state contains.
    pub fn missing(&self) -> u64 {
        self.acknowledged.saturating_sub(self.applied + self.late)
    }

    /// Fails unless nothing is missing, every average and total is right, the api never went back, and no partition
    /// was silent for longer than `longest_pause`.
    ///
    /// # Panics
    ///
    /// Then, with everything that is wrong.
    pub fn assert_held(&self, longest_pause: Duration) {
        assert!(self.mismatches.is_none(), "{self}");
        assert_eq!(self.missing(), 0, "{self}");
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
        let Self { name, nodes, acknowledged, applied, late, duplicates, successions, outranked, .. } = self;
        let seconds = |values: &[Duration], percent| {
            percentile(values, percent)
                .map_or_else(|| "-".to_owned(), |gap| format!("{:.1} s", gap.as_secs_f64()))
        };
        write!(
            f,
            "{name}: {acknowledged} samples acknowledged, {applied} applied, {late} late, {} missing, {duplicates} \
             duplicates dropped, {successions} new owners, takeover gap p50 {} p99 {} ({} pauses), hand-over p99 {} ({}), {outranked} outranked \
             messages, {} regressions, ",
            self.missing(),
            seconds(&self.pauses, 50),
            seconds(&self.pauses, 99),
            self.pauses.len(),
            seconds(&self.hand_overs, 99),
            self.hand_overs.len(),
            self.regressions.len(),
        )?;
        match &self.mismatches {
            None => write!(f, "the oracle held for {nodes} nodes"),
            Some(mismatches) => write!(f, "THE ORACLE DID NOT HOLD: {mismatches}"),
        }
    }
}
