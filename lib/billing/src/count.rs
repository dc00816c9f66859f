//! Asks the history for what periods came to, one range after another, so that one answer is in memory.

use tidemap_client::{HistoryClient, HistoryRequestError};
use tidemap_traffic::{
    Bytes, Period, Plan, Reach, Read, Scope, Sum, Sums,
    percentile::{SLOT_MS, SlotRange, Slots},
};
use tidemap_wire::{
    NodeId,
    history_query::{HistoryError, HistorySeries, HistoryStatus, MAX_STEPS, RangeAnswer, RangeRequest},
};

/// The most ranges that are read for one answer. Each takes some milliseconds.
const MAX_READS: usize = 2_000;
/// The most steps of all ranges together.
const MAX_ALL_STEPS: i64 = 2_000_000;
/// The most slots of all periods together, 5 MB: two years.
const MAX_SLOTS: usize = 211_000;
const MINUTE_MS: u64 = 60_000;
const QUARTER_MS: u64 = 15 * MINUTE_MS;

/// Why periods are not counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// The history has no answer.
    #[error(transparent)]
    History(#[from] HistoryRequestError),
    /// It would keep the history busy for long, or take much memory.
    #[error(
        "periods: these periods of these nodes take too long to count: ask for fewer periods, or for a label instead of its \
         nodes"
    )]
    TooMuch,
}

/// Whose traffic is counted over which periods.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) plan: Plan,
    pub(crate) periods: Vec<Period>,
    reach: Reach,
    /// The first moment of which there are slots.
    slots_ms: i64,
    complete_until_ms: i64,
    now_ms: i64,
}

/// What was counted.
#[derive(Debug)]
pub(crate) struct Counted {
    /// One for each period.
    pub(crate) sums: Vec<Sum>,
    /// Likewise; absent unless the percentile is wanted, and where no slots are kept.
    pub(crate) slots: Vec<Option<(SlotRange, Slots)>>,
    pub(crate) complete_until_ms: i64,
    /// Nodes and groups that the history has never heard of.
    pub(crate) unknown: Vec<String>,
    /// Nodes or groups of which the sums consist.
    pub(crate) members: usize,
}

/// A node or a group, and what it may be called in the history.
struct Member {
    text: String,
    possible: Vec<HistorySeries>,
}

impl Question {
    pub(crate) fn new(plan: Plan, periods: Vec<Period>, status: &HistoryStatus, now_ms: i64) -> Self {
        let from_ms = |step_ms: u64| {
            let tier = status.tiers.iter().find(|tier| tier.step_ms == step_ms);
            tier.and_then(|tier| tier.from_ms).unwrap_or(i64::MAX)
        };
        let reach = Reach { minutes_ms: from_ms(MINUTE_MS), quarters_ms: from_ms(QUARTER_MS) };
        // A station of an earlier version has slots where it has minutes.
        let slots_ms = from_ms(SLOT_MS.unsigned_abs()).min(reach.minutes_ms);
        Self { plan, periods, reach, slots_ms, complete_until_ms: status.complete_until_ms, now_ms }
    }

    /// The slots of each period of which any are kept.
    fn slot_ranges(&self) -> Vec<Option<SlotRange>> {
        let is_kept = |period: &Period| self.plan.p95 && period.to_ms > self.slots_ms;
        self.periods.iter().map(|period| is_kept(period).then(|| SlotRange::of(*period))).collect()
    }

    /// What must be read for a period's slots.
    fn slot_reads(&self, range: SlotRange) -> impl Iterator<Item = Read> {
        let ceiling = |ms: i64| ms.div_euclid(SLOT_MS) * SLOT_MS + SLOT_MS;
        let end_ms = range.from_ms + i64::try_from(range.count).unwrap_or(0) * SLOT_MS;
        let kept_ms = self.slots_ms.div_euclid(SLOT_MS) * SLOT_MS;
        let read = Read {
            from_ms: range.from_ms.max(kept_ms).max(0),
            to_ms: end_ms.min(ceiling(self.now_ms)),
            step_ms: SLOT_MS,
        };
        read.parts(i64::from(MAX_STEPS))
    }

    fn members(&self) -> Vec<Member> {
        let group =
            |of: HistorySeries| vec![Member { text: self.plan.scope.to_string(), possible: vec![of] }];
        match &self.plan.scope {
            Scope::Fleet => group(HistorySeries::Fleet),
            Scope::Location(value) => group(HistorySeries::Location(value.clone())),
            Scope::Provider(value) => group(HistorySeries::Provider(value.clone())),
            Scope::Label(name, value) => group(HistorySeries::Label(name.clone(), value.clone())),
            Scope::Nodes(names) => {
                let member = |name: &String| Member {
                    text: format!("a node named {name}"),
                    possible: NodeId::possible(name).into_iter().map(HistorySeries::Node).collect(),
                };
                names.iter().map(member).collect()
            }
        }
    }
}

/// Counts. In one bill, nodes are summed slot by slot.
pub(crate) async fn count(history: &HistoryClient, question: &Question) -> Result<Counted, CountError> {
    let mut members = question.members();
    let mut sums = Sums::new(&question.periods, question.reach);
    let reads = sums.reads(question.now_ms, i64::from(MAX_STEPS));
    let ranges = question.slot_ranges();
    let places = (0..).zip(&ranges).filter_map(|(place, range)| Some((place, (*range)?)));
    let slot_reads: Vec<(usize, Read)> =
        places.flat_map(|(place, range)| question.slot_reads(range).map(move |read| (place, read))).collect();
    check_size(
        members.len(),
        &ranges,
        reads.iter().copied().chain(slot_reads.iter().map(|(_, read)| *read)),
    )?;
    let slots = |range: Option<SlotRange>| range.map(|range| (range, Slots::empty(range.count)));
    let mut slots: Vec<_> = ranges.into_iter().map(slots).collect();
    let mut complete_until_ms = question.complete_until_ms;
    for member in &mut members {
        for read in &reads {
            let Some(answer) = member.read(history, *read).await? else { break };
            complete_until_ms = complete_until_ms.min(answer.complete_until_ms);
            for (step, from_ms) in begins(&answer, *read) {
                sums.add(from_ms, placed(&answer, step), unplaced(&answer, step), answer.covered_ms[step]);
            }
        }
        for (place, read) in &slot_reads {
            let Some(answer) = member.read(history, *read).await? else { break };
            let Some((range, slots)) = &mut slots[*place] else { continue };
            for (step, from_ms) in begins(&answer, *read) {
                if let Some(number) = range.number(from_ms).filter(|_| answer.rx_bytes[step].is_some()) {
                    slots.add(number, placed(&answer, step));
                }
            }
        }
    }
    let unknown: Vec<String> = members.iter().filter_map(Member::unknown).collect();
    Ok(Counted {
        sums: sums.done(),
        slots,
        complete_until_ms,
        members: members.len() - unknown.len(),
        unknown,
    })
}

fn check_size(
    members: usize,
    slots: &[Option<SlotRange>],
    reads: impl Iterator<Item = Read>,
) -> Result<(), CountError> {
    let slots: usize = slots.iter().flatten().map(|range| range.count).sum();
    let (mut ranges, mut steps) = (0, 0_i64);
    for read in reads {
        ranges += members;
        steps += read.steps() * i64::try_from(members).unwrap_or(i64::MAX);
        if ranges > MAX_READS || steps > MAX_ALL_STEPS {
            break;
        }
    }
    if ranges > MAX_READS || steps > MAX_ALL_STEPS || slots > MAX_SLOTS {
        return Err(CountError::TooMuch);
    }
    Ok(())
}

impl Member {
    /// What the history has of a range; nothing when it has never heard of the member.
    async fn read(&mut self, history: &HistoryClient, read: Read) -> Result<Option<RangeAnswer>, CountError> {
        let Read { from_ms, to_ms, step_ms } = read;
        while let Some(of) = self.possible.first() {
            let step_ms = Some(step_ms.unsigned_abs());
            let request = RangeRequest { of: of.clone(), from_ms, to_ms, step_ms, host: false, recent: None };
            match history.range(request).await {
                Err(HistoryRequestError::Refused(HistoryError::UnknownSeries)) => {
                    self.possible.remove(0);
                }
                Ok(answer) if (answer.from_ms, Some(answer.step_ms)) == (from_ms, step_ms) => {
                    return Ok(Some(answer));
                }
                Ok(_) => return Err(HistoryRequestError::Contradictory.into()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn unknown(&self) -> Option<String> {
        self.possible.is_empty().then(|| self.text.clone())
    }
}

/// The steps of an answer with their begins, Unix milliseconds.
fn begins(answer: &RangeAnswer, read: Read) -> impl Iterator<Item = (usize, i64)> {
    (0..answer.rx_bytes.len()).zip((0..).map(move |step| read.from_ms + step * read.step_ms))
}

fn placed(answer: &RangeAnswer, step: usize) -> Bytes {
    Bytes { rx: answer.rx_bytes[step].unwrap_or(0), tx: answer.tx_bytes[step].unwrap_or(0) }
}

fn unplaced(answer: &RangeAnswer, step: usize) -> Bytes {
    Bytes { rx: answer.unplaced_rx_bytes[step], tx: answer.unplaced_tx_bytes[step] }
}
