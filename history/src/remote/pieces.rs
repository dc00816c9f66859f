//! What becomes of a batch: taken, later, or cut until what is refused is found. Pure.

use std::{ops::Range, time::Duration};

/// A part of a batch: some of its series, and some of its minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Places of series in the batch.
    pub series: Range<usize>,
    /// The minutes.
    pub minutes: Range<u32>,
}

/// What a receiver's answer means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// All of it is stored.
    Taken,
    /// The receiver cannot store it now.
    Later(Later),
    /// It never takes all of this at once.
    TooLarge(String),
    /// It will never store all of this.
    Refused(Why, String),
}

/// A receiver must be asked again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Later {
    /// When at the earliest, if it has said so.
    pub after: Option<Duration>,
    /// Why.
    pub why: String,
}

/// Why something is refused for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is older than the receiver takes; it takes no older one either.
    TooOld,
    /// The receiver has this or a later value of the series.
    NotNext,
    /// Anything else.
    Other,
}

/// Words by which Prometheus, Mimir, Thanos and VictoriaMetrics refuse a sample for its age. Prometheus says
/// so with the status 500, by which senders that do not read the words repeat it for ever.
const TOO_OLD: [&str; 5] =
    ["out of bounds", "too old sample", "sample-too-old", "sample-timestamp-too-old", "too far in the past"];
/// Words by which they refuse one that is not the next of its series.
const NOT_NEXT: [&str; 4] =
    ["out of order", "out-of-order", "duplicate sample", "sample-duplicate-timestamp"];

/// What an answer means.
pub(crate) fn verdict(status: u16, retry_after: Option<&str>, body: &str) -> Verdict {
    let says = |words: &[&str]| words.iter().any(|words| body.contains(words));
    let refused = |why| Verdict::Refused(why, first_line(body));
    match status {
        200..300 => Verdict::Taken,
        400 | 409 | 422 | 500 if says(&TOO_OLD) => refused(Why::TooOld),
        400 | 409 | 422 if says(&NOT_NEXT) => refused(Why::NotNext),
        400 | 409 | 422 => refused(Why::Other),
        413 => Verdict::TooLarge(first_line(body)),
        // Not allowed, a wrong path, too often: the same may pass once the operator has mended it.
        _ => {
            let seconds = retry_after.and_then(|text| text.trim().parse().ok());
            let why = format!("it answers {status}: {}", first_line(body));
            Verdict::Later(Later { after: seconds.map(Duration::from_secs), why })
        }
    }
}

fn first_line(body: &str) -> String {
    let line = body.lines().next().unwrap_or_default();
    line.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

/// What of a batch was not stored.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// What was refused, and why.
    pub refused: Vec<(Piece, Why, String)>,
    /// Why the batch must be sent again.
    pub later: Option<Later>,
}

/// If so many pieces are refused and nothing is taken, then the receiver is not the right one: a node has at
/// most nine series.
const REFUSALS: usize = 64;

/// Sends a batch, and cuts what is refused. What was stored may be sent again, because each value is final.
/// `floor` is the first minute that may not be too old; it rises with what the receiver says.
pub(crate) fn send(whole: Piece, floor: &mut u32, mut post: impl FnMut(&Piece) -> Verdict) -> Outcome {
    let mut outcome = Outcome::default();
    let mut has_taken = false;
    let mut waiting = vec![whole];
    while let Some(mut piece) = waiting.pop() {
        if piece.minutes.start < *floor {
            let older = piece.minutes.start..piece.minutes.end.min(*floor);
            piece.minutes.start = older.end;
            let older = Piece { series: piece.series.clone(), minutes: older };
            outcome.refused.push((older, Why::TooOld, "it is older than the receiver takes".to_owned()));
        }
        if piece.series.is_empty() || piece.minutes.is_empty() {
            continue;
        }
        match post(&piece) {
            Verdict::Taken => has_taken = true,
            Verdict::Later(later) => {
                outcome.later = Some(later);
                return outcome;
            }
            Verdict::Refused(Why::TooOld, said) => match by_time(&piece) {
                // The newer half comes first: if it is too old, so is the older one.
                Some([older, newer]) => waiting.extend([older, newer]),
                None => {
                    *floor = piece.minutes.end;
                    outcome.refused.push((piece, Why::TooOld, said));
                }
            },
            Verdict::TooLarge(said) => match by_series(&piece).or_else(|| by_time(&piece)) {
                Some([first, second]) => waiting.extend([second, first]),
                None => outcome.refused.push((piece, Why::Other, said)),
            },
            Verdict::Refused(why, said) => match by_series(&piece) {
                Some([first, second]) => waiting.extend([second, first]),
                None => outcome.refused.push((piece, why, said)),
            },
        }
        let is_other = |(_, why, _): &(Piece, Why, String)| *why == Why::Other;
        let is_enough = outcome.refused.len() >= REFUSALS || waiting.is_empty();
        if is_enough && !has_taken && !outcome.refused.is_empty() && outcome.refused.iter().all(is_other) {
            let said = outcome.refused.first().map(|(_, _, said)| said.as_str()).unwrap_or_default();
            let why = format!("it takes nothing: {said}");
            outcome.later = Some(Later { after: None, why });
            return outcome;
        }
    }
    outcome
}

fn by_series(Piece { series, minutes }: &Piece) -> Option<[Piece; 2]> {
    let middle = series.start + series.len() / 2;
    let part = |series| Piece { series, minutes: minutes.clone() };
    (series.len() > 1).then(|| [part(series.start..middle), part(middle..series.end)])
}

fn by_time(Piece { series, minutes }: &Piece) -> Option<[Piece; 2]> {
    let middle = minutes.start + (minutes.end - minutes.start) / 2;
    let part = |minutes| Piece { series: series.clone(), minutes };
    (minutes.len() > 1).then(|| [part(minutes.start..middle), part(middle..minutes.end)])
}

#[cfg(test)]
mod tests;
