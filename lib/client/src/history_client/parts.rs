//! Answers of the history, assembled from their parts. Pure.

use std::collections::BTreeMap;

use tidemap_wire::history_query::{HistoryAnswer, HistoryReply, MAX_STEPS, RangeAnswer};

use crate::history_client::HistoryRequestError;

/// No answer has more parts, so a reply that announces more is wrong.
const MAX_PARTS: u32 = MAX_STEPS.div_ceil(RangeAnswer::STEPS_OF_A_PART as u32) + 1;

/// The parts of one answer that have arrived.
#[derive(Debug, Default)]
pub(super) struct Parts {
    chunks: u32,
    parts: BTreeMap<u32, HistoryAnswer>,
}

impl Parts {
    /// Adds a part; returns all of them in their order once they are there.
    pub(super) fn add(
        &mut self,
        part: HistoryReply,
    ) -> Result<Option<Vec<HistoryAnswer>>, HistoryRequestError> {
        let HistoryReply { chunk, chunks, answer } = part;
        let is_first = self.parts.is_empty();
        if chunk >= chunks || chunks > MAX_PARTS || (!is_first && chunks != self.chunks) {
            return Err(HistoryRequestError::Contradictory);
        }
        self.chunks = chunks;
        self.parts.insert(chunk, answer);
        let is_complete = u32::try_from(self.parts.len()) == Ok(chunks);
        Ok(is_complete.then(|| std::mem::take(&mut self.parts).into_values().collect()))
    }
}

/// The answer that has one part.
pub(super) fn only(parts: Vec<HistoryAnswer>) -> Result<HistoryAnswer, HistoryRequestError> {
    match <[HistoryAnswer; 1]>::try_from(parts) {
        Ok([HistoryAnswer::Refused(error)]) => Err(error.into()),
        Ok([answer]) => Ok(answer),
        Err(_) => Err(HistoryRequestError::Contradictory),
    }
}

/// The steps of all parts.
pub(super) fn range(parts: Vec<HistoryAnswer>) -> Result<RangeAnswer, HistoryRequestError> {
    let mut whole: Option<RangeAnswer> = None;
    for part in parts {
        let part = match part {
            HistoryAnswer::Range(part) if is_even(&part) => part,
            HistoryAnswer::Refused(error) => return Err(error.into()),
            _ => return Err(HistoryRequestError::Contradictory),
        };
        match &mut whole {
            None => whole = Some(part),
            Some(whole) if follows(whole, &part) => append(whole, part),
            Some(_) => return Err(HistoryRequestError::Contradictory),
        }
    }
    whole.ok_or(HistoryRequestError::Contradictory)
}

/// Whether all columns have an entry for each step.
fn is_even(part: &RangeAnswer) -> bool {
    let RangeAnswer { rx_bytes, tx_bytes, rx_bps, tx_bps, rx_max_bps, tx_max_bps, .. } = part;
    let RangeAnswer { rx_min_bps, tx_min_bps, covered_ms, unplaced_rx_bytes, unplaced_tx_bytes, .. } = part;
    let known = [rx_bytes, tx_bytes, rx_bps, tx_bps, rx_max_bps, tx_max_bps, rx_min_bps, tx_min_bps];
    let sums = [covered_ms, unplaced_rx_bytes, unplaced_tx_bytes];
    let steps = rx_bytes.len();
    part.step_ms > 0
        && steps <= RangeAnswer::STEPS_OF_A_PART
        && known.iter().all(|column| column.len() == steps)
        && sums.iter().all(|column| column.len() == steps)
        && part.host.as_ref().is_none_or(|host| host.is_of(steps))
}

fn follows(whole: &RangeAnswer, part: &RangeAnswer) -> bool {
    part.host.is_some() == whole.host.is_some()
        && (part.from_ms, part.step_ms, part.tier_ms) == (whole.to_ms(), whole.step_ms, whole.tier_ms)
}

fn append(whole: &mut RangeAnswer, part: RangeAnswer) {
    whole.complete_until_ms = whole.complete_until_ms.min(part.complete_until_ms);
    whole.rx_bytes.extend(part.rx_bytes);
    whole.tx_bytes.extend(part.tx_bytes);
    whole.rx_bps.extend(part.rx_bps);
    whole.tx_bps.extend(part.tx_bps);
    whole.rx_max_bps.extend(part.rx_max_bps);
    whole.tx_max_bps.extend(part.tx_max_bps);
    whole.rx_min_bps.extend(part.rx_min_bps);
    whole.tx_min_bps.extend(part.tx_min_bps);
    whole.covered_ms.extend(part.covered_ms);
    whole.unplaced_rx_bytes.extend(part.unplaced_rx_bytes);
    whole.unplaced_tx_bytes.extend(part.unplaced_tx_bytes);
    if let (Some(whole), Some(part)) = (&mut whole.host, part.host) {
        whole.append(*part);
    }
    whole.remote_until_ms = whole.remote_until_ms.or(part.remote_until_ms);
    whole.warning = whole.warning.take().or(part.warning);
}

#[cfg(test)]
mod tests {
    use tidemap_wire::history_query::{HistoryError, HistoryStatus, HostSteps};

    use super::*;

    /// Steps of a minute whose values are all different, column by column.
    fn steps(first: u64, count: u64) -> RangeAnswer {
        let known = |column: u64| (first..first + count).map(|step| Some(column * 1_000 + step)).collect();
        let sums = |column: u64| (first..first + count).map(|step| column * 1_000 + step).collect();
        let share = |column: u64, step: u64| u16::try_from(column * 100 + step).ok();
        let shares = |column: u64| (first..first + count).map(|step| share(column, step)).collect();
        RangeAnswer {
            from_ms: first as i64 * 60_000,
            step_ms: 60_000,
            tier_ms: 60_000,
            complete_until_ms: 7,
            rx_bytes: known(1),
            tx_bytes: known(2),
            rx_bps: known(3),
            tx_bps: known(4),
            rx_max_bps: known(5),
            tx_max_bps: known(6),
            rx_min_bps: known(7),
            tx_min_bps: known(8),
            covered_ms: sums(9),
            unplaced_rx_bytes: sums(10),
            unplaced_tx_bytes: sums(11),
            host: Some(Box::new(HostSteps {
                cpu: shares(1),
                cpu_max: shares(2),
                memory_max: shares(3),
                disk_max: shares(4),
                load_max: (first..first + count).map(|step| u32::try_from(step).ok()).collect(),
            })),
            remote_until_ms: Some(5),
            warning: None,
        }
    }

    fn reply(chunk: u32, chunks: u32, answer: RangeAnswer) -> HistoryReply {
        HistoryReply { chunk, chunks, answer: HistoryAnswer::Range(answer) }
    }

    fn joined(replies: Vec<HistoryReply>) -> Result<Option<RangeAnswer>, HistoryRequestError> {
        let mut parts = Parts::default();
        for reply in replies {
            if let Some(all) = parts.add(reply)? {
                return range(all).map(Some);
            }
        }
        Ok(None)
    }

    #[test]
    fn parts_become_one_answer_in_any_order() {
        let [first, second, third] = [steps(5, 3), steps(8, 3), steps(11, 1)];
        let parts = vec![
            reply(2, 3, third.clone()),
            reply(0, 3, first.clone()),
            reply(0, 3, first.clone()),
            reply(1, 3, second.clone()),
        ];
        assert_eq!(joined(parts.clone()).unwrap(), Some(steps(5, 7)));
        assert_eq!(joined(parts[..3].to_vec()).unwrap(), None);
    }

    #[test]
    fn parts_that_are_not_of_one_answer_are_refused() {
        let uneven = RangeAnswer { covered_ms: vec![1], ..steps(5, 3) };
        let uneven_host = RangeAnswer { host: Some(Box::new(HostSteps::unknown(2))), ..steps(5, 3) };
        let without_host = RangeAnswer { host: None, ..steps(8, 3) };
        let other_step = RangeAnswer { step_ms: 120_000, ..steps(8, 3) };
        for wrong in [
            vec![reply(0, 1, uneven)],
            vec![reply(0, 1, uneven_host)],
            vec![reply(0, 2, steps(5, 3)), reply(1, 2, without_host)],
            vec![reply(0, 2, steps(5, 3)), reply(1, 2, steps(9, 3))],
            vec![reply(0, 2, steps(5, 3)), reply(1, 2, other_step)],
            vec![reply(0, 2, steps(5, 3)), reply(1, 3, steps(8, 3))],
            vec![reply(1, 1, steps(5, 3))],
            vec![reply(0, 0, steps(5, 3))],
            vec![reply(0, 1_000_000, steps(5, 3))],
            vec![HistoryReply {
                chunk: 0,
                chunks: 1,
                answer: HistoryAnswer::Status(HistoryStatus::default()),
            }],
        ] {
            let said = joined(wrong.clone());
            assert!(matches!(said, Err(HistoryRequestError::Contradictory)), "{wrong:?}: {said:?}");
        }
    }

    #[test]
    fn a_refusal_is_an_error() {
        let answer = HistoryAnswer::Refused(HistoryError::NoRange);
        for said in [only(vec![answer.clone()]).err(), range(vec![answer]).err()] {
            assert!(matches!(said, Some(HistoryRequestError::Refused(HistoryError::NoRange))), "{said:?}");
        }
    }
}
