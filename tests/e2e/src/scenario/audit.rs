//! What the workers have written down in the end, held against what was acknowledged: sample by sample, each
//! node for itself. A sum over the fleet would not do: one node's loss would hide behind what another was
//! counted double.

use std::collections::{BTreeMap, BTreeSet};

use tidemap_ingest::internals::{Limits, Message, Node, PartitionState};
use tidemap_wire::{NodeId, encode, subject};

use crate::oracle::AckedSample;

/// Of an agent's runs, so many are remembered one by one; of those before, a node keeps the sums.
const REMEMBERED_RUNS: usize = 4;

/// What is kept is asked about samples, not about silence.
const LIMITS: Limits =
    Limits { offline_after_ms: 3_600_000, forget_after_ms: 3_600_000, max_nodes: usize::MAX };

/// What is kept of each node, by name.
pub type Kept = BTreeMap<String, (NodeId, Node)>;

/// What became of the acknowledged samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Samples that the nodes contain.
    pub applied: u64,
    /// Samples that a node has seen when no window of it reached back to them any more: they count in totals
    /// only.
    pub late: u64,
    /// Acknowledged samples that a node has never seen, by node and run. Not there when there are none.
    pub missing: BTreeMap<(String, u64), u64>,
    /// Samples that a node contains beyond those that it should, by node. Not there when there are none.
    pub surplus: BTreeMap<String, u64>,
}

impl Audit {
    /// Holds what is kept against what was acknowledged.
    pub fn new(acknowledged: &[AckedSample], kept: &Kept) -> anyhow::Result<Self> {
        let mut audit = Self::default();
        let mut fleet: BTreeMap<&str, Runs<'_>> = BTreeMap::new();
        for sample in acknowledged {
            let runs = fleet.entry(&sample.node).or_default();
            runs.entry(sample.boot).or_default().insert(sample.seq, sample);
        }
        for (node, runs) in &fleet {
            audit.add(node, runs, kept.get(*node))?;
        }
        let strangers = kept.iter().filter(|(node, _)| !fleet.contains_key(node.as_str()));
        audit.surplus.extend(strangers.map(|(node, (_, kept))| (node.clone(), kept.samples())));
        Ok(audit)
    }

    /// The number of missing samples.
    pub fn missing(&self) -> u64 {
        self.missing.values().sum()
    }

    /// The number of surplus samples.
    pub fn surplus(&self) -> u64 {
        self.surplus.values().sum()
    }

    fn add(&mut self, node: &str, runs: &Runs<'_>, kept: Option<&(NodeId, Node)>) -> anyhow::Result<()> {
        let mut unseen = BTreeMap::new();
        for (boot, samples) in runs {
            unseen.insert(*boot, kept.map_or(Ok(samples.len()), |kept| count_unseen(kept, samples))?);
        }
        let may_be_forgotten = runs.len().saturating_sub(REMEMBERED_RUNS);
        let forgotten: BTreeSet<u64> = runs
            .iter()
            .filter(|(boot, samples)| kept.is_some() && unseen[boot] == samples.len())
            .map(|(boot, _)| *boot)
            .take(may_be_forgotten)
            .collect();
        unseen.retain(|boot, count| *count > 0 && !forgotten.contains(boot));
        let acknowledged: usize = runs.values().map(BTreeMap::len).sum();
        let due = (acknowledged - unseen.values().sum::<usize>()) as u64;
        let applied = kept.map_or(0, |(_, node)| node.samples());
        self.applied += applied;
        self.late += due.saturating_sub(applied);
        if applied > due {
            self.surplus.insert(node.to_owned(), applied - due);
        }
        self.missing.extend(unseen.into_iter().map(|(boot, count)| ((node.to_owned(), boot), count as u64)));
        Ok(())
    }
}

/// The samples of each run, each once.
type Runs<'a> = BTreeMap<u64, Run<'a>>;
type Run<'a> = BTreeMap<u64, &'a AckedSample>;

/// How many of a run's samples a node does not call duplicates when it hears them again.
fn count_unseen(kept: &(NodeId, Node), run: &Run<'_>) -> anyhow::Result<usize> {
    let mut alone = PartitionState::new(LIMITS);
    alone.restore(vec![kept.clone()]);
    for sample in run.values() {
        let report = sample.report()?;
        let (subject, payload) = (subject::sample(&report.node), encode(&report));
        // What it refuses it has not seen.
        alone.observe(Message { subject: &subject, payload: &payload, published_ms: 0 }).ok();
    }
    Ok(run.len() - usize::try_from(alone.stats().duplicates)?)
}
