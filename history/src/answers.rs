//! What a request is answered, given what is stored.

use std::{collections::BTreeMap, ops::Range};

use tidemap_wire::{
    MinuteRow, NodeId, bounds,
    history_query::{
        HistoryAnswer, HistoryError, HistoryReply, HistoryRequest, HistorySeries, HistoryStatus, HostSteps,
        MAX_AUTOMATIC_STEPS, MAX_STEPS, MAX_TOP, RECENT_REACH_MS, RangeAnswer, RangeRequest, TierReach,
        TopAnswer, TopBy, TopNode, TopRequest,
    },
};

use crate::{
    database::StoreError,
    host_span::HostSpan,
    point::{Point, mean},
    store::{Reach, SeriesKey, Step, Store, TopOrder},
};

const MINUTE_MS: i64 = 60_000;
/// As many rows of a request are joined: more than an owner has of a node.
const MAX_RECENT: usize = 256;
/// Steps to choose from, in minutes.
const STEPS: [u32; 16] =
    [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 7 * 1_440, 30 * 1_440, 360 * 1_440];
/// Samples of a minute come as long after its end.
const LATEST_MS: i64 = 5_000;
/// Owners publish a minute's rows within 15 s after that.
const PUBLISHED_WITHIN_MS: i64 = LATEST_MS + 15_000;

/// Asks another database for what moved in each step of some minutes of a node; `None` when it does not
/// answer.
pub(crate) type Past<'a> = &'a dyn Fn(&NodeId, Range<u32>, Step) -> Option<BTreeMap<u32, Point>>;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// It asks for what there is not.
    #[error(transparent)]
    Refused(#[from] HistoryError),
    /// The file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Up to when minutes are there as a rule, Unix milliseconds, if the newest message is of `at_ms`.
pub(crate) fn complete_until_ms(at_ms: i64) -> i64 {
    (at_ms - PUBLISHED_WITHIN_MS).max(0) / MINUTE_MS * MINUTE_MS
}

/// The same once nothing has come for the 15 s in which owners publish, and a while.
pub(crate) fn settled_until_ms(at_ms: i64) -> i64 {
    (at_ms - LATEST_MS).max(0) / MINUTE_MS * MINUTE_MS
}

/// The parts of the answer to a request. `status` is what is known of the reading, and `past` has minutes
/// that are kept here no more.
pub(crate) fn answer(
    store: &mut Store,
    request: &HistoryRequest,
    status: &HistoryStatus,
    past: Option<Past<'_>>,
) -> Result<Vec<HistoryReply>, AnswerError> {
    let parts = match request {
        HistoryRequest::Range(request) => {
            let parts = range(store, request, status.complete_until_ms, past)?;
            parts.into_iter().map(HistoryAnswer::Range).collect()
        }
        HistoryRequest::Top(request) => {
            vec![HistoryAnswer::Top(top(store, request, status.complete_until_ms)?)]
        }
        HistoryRequest::Status => vec![HistoryAnswer::Status(self::status(store, status)?)],
    };
    Ok(replies(parts))
}

/// Numbers the parts.
pub(crate) fn replies(parts: Vec<HistoryAnswer>) -> Vec<HistoryReply> {
    let chunks = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    (0..).zip(parts).map(|(chunk, answer)| HistoryReply { chunk, chunks, answer }).collect()
}

/// What moved over a range, in parts.
pub(crate) fn range(
    store: &mut Store,
    request: &RangeRequest,
    complete_until_ms: i64,
    past: Option<Past<'_>>,
) -> Result<Vec<RangeAnswer>, AnswerError> {
    let Far { step, minutes, points: far, until, warning } = far(store, request, past)?;
    let tier_ms = u64::from(store.tier(step, &minutes)?) * 60_000;
    let mut recent = recent(request)?;
    if let HistorySeries::Node(node) = &request.of {
        recent.retain(|row| !store.has_forgotten(node, row.minute));
    }
    let mut points = match store.range(&SeriesKey::of(&request.of), minutes.clone(), step, &recent)? {
        Some(points) => points,
        // There is a fleet before there is a node.
        None if request.of == HistorySeries::Fleet => Vec::new(),
        None => return Err(HistoryError::UnknownSeries.into()),
    };
    if !far.is_empty() {
        let mut joined = far;
        points.iter().for_each(|(minute, point)| joined.entry(*minute).or_default().add(point));
        points = joined.into_iter().collect();
    }
    let remote_until_ms = until.map(|minute| i64::from(minute) * MINUTE_MS);
    let complete_until_ms = match (complete_until_ms, &request.recent) {
        (stored, Some(recent)) if recent.at_ms - RECENT_REACH_MS <= stored => {
            stored.max((recent.at_ms - LATEST_MS) / MINUTE_MS * MINUTE_MS)
        }
        (stored, _) => stored,
    };
    let has_host = request.host && matches!(request.of, HistorySeries::Node(_));
    let nothing = Point::default();
    let mut known = points.iter().peekable();
    let steps: Vec<(u32, &Point)> = minutes
        .step_by(step.0 as usize)
        .map(|minute| (minute, known.next_if(|known| known.0 == minute).map_or(&nothing, |known| &known.1)))
        .collect();
    let part = |steps: &[(u32, &Point)]| RangeAnswer {
        complete_until_ms,
        remote_until_ms,
        warning: warning.map(str::to_owned),
        host: has_host.then(|| Box::new(hosts(steps))),
        tier_ms,
        ..columns(steps, step)
    };
    Ok(steps.chunks(RangeAnswer::STEPS_OF_A_PART).map(part).collect())
}

/// The steps of an answer, and what another database has of them.
#[derive(Debug)]
struct Far {
    step: Step,
    /// Whole steps.
    minutes: Range<u32>,
    points: BTreeMap<u32, Point>,
    /// Earlier minutes are that database's.
    until: Option<u32>,
    warning: Option<&'static str>,
}

/// Chooses the steps, and asks for those that are kept here no more: of nodes only. Without an answer, steps
/// are chosen that are kept here.
fn far(store: &mut Store, request: &RangeRequest, past: Option<Past<'_>>) -> Result<Far, AnswerError> {
    let asked = minutes(request.from_ms, request.to_ms)?;
    let reach = store.reach()?;
    let given = request.step_ms.map(given_step).transpose()?;
    let here = |warning| {
        let step = given.unwrap_or_else(|| automatic_step(&asked, reach));
        Ok(Far { step, minutes: steps(&asked, step)?, points: BTreeMap::new(), until: None, warning })
    };
    let (HistorySeries::Node(node), Some(past)) = (&request.of, past) else { return here(None) };
    // A station that only reads does not know from when on there is something.
    let since = store.sent_since()?.unwrap_or(0);
    let step = given.unwrap_or_else(|| automatic_step(&asked, reach.with(since)));
    let minutes = steps(&asked, step)?;
    let first_here = match step.tier() {
        1 if step.has_fives() => reach.fives,
        1 => reach.minutes,
        15 => reach.quarters,
        _ => return here(None),
    };
    let begin = minutes.start.max(since / step.0 * step.0);
    let missing = begin..minutes.end.min(first_here.unwrap_or(u32::MAX));
    if missing.is_empty() {
        return here(None);
    }
    match past(node, missing.clone(), step) {
        None if given.is_some() => {
            here(Some("the database of earlier minutes does not answer: they are missing"))
        }
        None => here(Some("the database of earlier minutes does not answer: steps may be longer than usual")),
        Some(points) if points.is_empty() => here(None),
        Some(points) => Ok(Far { step, minutes, points, until: Some(missing.end), warning: None }),
    }
}

/// Whole steps, no more than an answer may have.
fn steps(minutes: &Range<u32>, step: Step) -> Result<Range<u32>, HistoryError> {
    let minutes = widened(minutes, step)?;
    if minutes.len() as u64 / u64::from(step.0) > u64::from(MAX_STEPS) {
        return Err(HistoryError::TooManySteps);
    }
    Ok(minutes)
}

/// The rows of the node that the request is for, in which the asker knows of more than is stored.
fn recent(request: &RangeRequest) -> Result<Vec<MinuteRow>, HistoryError> {
    let (HistorySeries::Node(asked), Some(recent)) = (&request.of, &request.recent) else {
        return Ok(Vec::new());
    };
    let rows = recent.rows().map_err(|_| HistoryError::Unreadable)?;
    // Whoever asks: what is joined is within the bounds of what is stored.
    let latest = recent.at_ms.div_euclid(MINUTE_MS).saturating_add(bounds::AHEAD_MINUTES.into());
    let own = rows.into_iter().filter(|(node, row)| *node == asked && i64::from(row.minute) <= latest);
    let bounded = |(_, mut row): (_, MinuteRow)| {
        row.bound();
        row
    };
    Ok(own.take(MAX_RECENT).map(bounded).collect())
}

fn columns(steps: &[(u32, &Point)], step: Step) -> RangeAnswer {
    let points = || steps.iter().map(|(_, point)| *point);
    let covered =
        |of: fn(&Point) -> u64| points().map(|point| (point.covered_ms > 0).then(|| of(point))).collect();
    let rates = |of: fn(tidemap_wire::Extremes) -> u64| points().map(|point| point.rates.map(of)).collect();
    RangeAnswer {
        from_ms: steps.first().map_or(0, |(minute, _)| i64::from(*minute) * MINUTE_MS),
        step_ms: u64::from(step.0) * 60_000,
        tier_ms: u64::from(step.tier()) * 60_000,
        rx_bytes: covered(|point| point.rx_bytes),
        tx_bytes: covered(|point| point.tx_bytes),
        rx_bps: covered(|point| mean(point.rx_bytes, point.covered_ms)),
        tx_bps: covered(|point| mean(point.tx_bytes, point.covered_ms)),
        rx_max_bps: rates(|rates| rates.rx_max),
        tx_max_bps: rates(|rates| rates.tx_max),
        rx_min_bps: rates(|rates| rates.rx_min),
        tx_min_bps: rates(|rates| rates.tx_min),
        covered_ms: points().map(|point| point.covered_ms).collect(),
        unplaced_rx_bytes: points().map(|point| point.unplaced_rx).collect(),
        unplaced_tx_bytes: points().map(|point| point.unplaced_tx).collect(),
        ..RangeAnswer::default()
    }
}

fn hosts(steps: &[(u32, &Point)]) -> HostSteps {
    let hosts = || steps.iter().map(|(_, point)| &point.host);
    HostSteps {
        cpu: hosts().map(HostSpan::cpu_mean).collect(),
        cpu_max: hosts().map(HostSpan::cpu_max).collect(),
        memory_max: hosts().map(|host| host.memory_max).collect(),
        disk_max: hosts().map(|host| host.disk_max).collect(),
        load_max: hosts().map(|host| host.load_max).collect(),
    }
}

fn top(store: &mut Store, request: &TopRequest, complete_until_ms: i64) -> Result<TopAnswer, AnswerError> {
    if request.limit == 0 || request.limit > MAX_TOP {
        return Err(HistoryError::TooManyNodes.into());
    }
    let order = match request.by {
        TopBy::Rx => TopOrder::Rx,
        TopBy::Tx => TopOrder::Tx,
        TopBy::Sum => TopOrder::Sum,
    };
    let found = store.top(minutes(request.from_ms, request.to_ms)?, order, request.limit as usize)?;
    let node = |(node, point): (_, Point)| TopNode {
        node,
        rx_bytes: point.rx_bytes.saturating_add(point.unplaced_rx),
        tx_bytes: point.tx_bytes.saturating_add(point.unplaced_tx),
        covered_ms: point.covered_ms,
        rx_max_bps: point.rates.map(|rates| rates.rx_max),
        tx_max_bps: point.rates.map(|rates| rates.tx_max),
    };
    Ok(TopAnswer {
        from_ms: i64::from(found.minutes.start) * MINUTE_MS,
        to_ms: i64::from(found.minutes.end) * MINUTE_MS,
        complete_until_ms,
        nodes: found.nodes.into_iter().map(node).collect(),
    })
}

/// What is kept, besides what is known of the reading.
pub(crate) fn status(store: &mut Store, reading: &HistoryStatus) -> Result<HistoryStatus, StoreError> {
    let reach = store.reach()?;
    let tier = |step: u32, from: Option<u32>| TierReach {
        step_ms: u64::from(step) * 60_000,
        from_ms: from.map(|minute| i64::from(minute) * MINUTE_MS),
    };
    let tiers = vec![
        tier(1, reach.minutes),
        tier(5, reach.fives),
        tier(15, reach.quarters),
        tier(60, reach.hours),
        tier(1_440, reach.hours),
    ];
    let mut status = HistoryStatus {
        tiers,
        used_bytes: reach.used_bytes,
        second_peaks_since_ms: reach.second_peaks.map(|minute| i64::from(minute) * MINUTE_MS),
        ..reading.clone()
    };
    if reach.lost_tiles > 0 {
        let what = "tiles were damaged and are set aside: what they contained is missing from answers";
        status.warnings.push(format!("{} {what}", reach.lost_tiles));
    }
    Ok(status)
}

/// The minutes of a range, the last one as a whole.
fn minutes(from_ms: i64, to_ms: i64) -> Result<Range<u32>, HistoryError> {
    let minute = |ms: i64| u32::try_from(ms / MINUTE_MS).ok().filter(|minute| *minute < u32::MAX / 2);
    let from = minute(from_ms.max(0)).ok_or(HistoryError::NoRange)?;
    let to = to_ms.checked_add(MINUTE_MS - 1).and_then(minute).ok_or(HistoryError::NoRange)?;
    if from < to { Ok(from..to) } else { Err(HistoryError::NoRange) }
}

/// Whole steps.
fn widened(minutes: &Range<u32>, Step(step): Step) -> Result<Range<u32>, HistoryError> {
    let end = minutes.end.div_ceil(step).checked_mul(step).ok_or(HistoryError::NoRange)?;
    Ok(minutes.start / step * step..end)
}

fn given_step(step_ms: u64) -> Result<Step, HistoryError> {
    let minutes = u32::try_from(step_ms / 60_000).map_err(|_| HistoryError::NoSuchStep)?;
    if minutes == 0 || !step_ms.is_multiple_of(60_000) || minutes > u32::MAX / 4 {
        return Err(HistoryError::NoSuchStep);
    }
    Ok(Step(minutes))
}

/// The shortest step with few enough points whose spans reach back far enough.
fn automatic_step(minutes: &Range<u32>, reach: Reach) -> Step {
    let reaches = |step: Step| {
        let first = match step.tier() {
            1 => reach.minutes,
            15 => reach.quarters,
            _ => reach.hours,
        };
        let oldest = reach.hours.unwrap_or(0).max(minutes.start);
        first.is_none_or(|first| first <= oldest)
    };
    let is_few = |step: Step| minutes.end.div_ceil(step.0) - minutes.start / step.0 <= MAX_AUTOMATIC_STEPS;
    let steps = || STEPS.into_iter().map(Step).filter(|step| is_few(*step));
    steps().find(|step| reaches(*step)).or_else(|| steps().next()).unwrap_or(Step(STEPS[STEPS.len() - 1]))
}

#[cfg(test)]
mod tests;
