//! What a history says, and where it differs from the truth. Pure.

use std::collections::BTreeMap;

use tidemap_wire::{history_query::RangeAnswer, http::HistoryJson};

use super::{Moved, Truth};

/// What a station says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// By node and minute.
    pub minutes: BTreeMap<String, BTreeMap<i64, Moved>>,
    /// Bytes received and sent at a moment that it does not know, by node.
    pub unplaced: BTreeMap<String, (u64, u64)>,
}

impl Answers {
    /// Where it differs from the truth. Of a node whose clock is wrong only the sums of its minutes are
    /// compared: what two readings of a clock that was put back have between them is not known.
    pub fn differences(&self, truth: &BTreeMap<String, Truth>) -> Vec<String> {
        truth.iter().filter_map(|(node, truth)| self.difference(node, truth)).collect()
    }

    fn difference(&self, node: &str, truth: &Truth) -> Option<String> {
        let minutes = self.minutes.get(node).cloned().unwrap_or_default();
        let (rx_bytes, tx_bytes) = self.unplaced.get(node).copied().unwrap_or_default();
        let placed = sum(&minutes);
        let whole = self.whole(node);
        let Some(expected) = &truth.minutes else {
            return (placed != truth.whole).then(|| format!("{node}: {placed:?}, not {:?}", truth.whole));
        };
        if whole != truth.whole {
            let unplaced = format!("{rx_bytes} and {tx_bytes} of it at an unknown moment");
            return Some(format!("{node}: {whole:?}, {unplaced}, not {:?}", truth.whole));
        }
        (minutes != *expected).then(|| format!("{node}: {minutes:?}, not {expected:?}"))
    }

    /// All of a node's minutes, and what moved at a moment that is not known.
    fn whole(&self, node: &str) -> Moved {
        let (rx_bytes, tx_bytes) = self.unplaced.get(node).copied().unwrap_or_default();
        let mut whole = self.minutes.get(node).map(sum).unwrap_or_default();
        whole.add(Moved { rx_bytes, tx_bytes, covered_ms: 0 });
        whole
    }

    /// Adds a station's answer in steps of a minute.
    pub(super) fn add_answer(&mut self, node: &str, answer: &RangeAnswer) {
        let columns = [&answer.rx_bytes[..], &answer.tx_bytes];
        let unplaced = [&answer.unplaced_rx_bytes[..], &answer.unplaced_tx_bytes];
        self.add(node, answer.from_ms, columns, &answer.covered_ms, unplaced);
    }

    /// Adds the API's answer in steps of a minute.
    fn add_json(&mut self, node: &str, answer: &HistoryJson) {
        let columns = [&answer.rx_bytes[..], &answer.tx_bytes];
        let unplaced = [&answer.unplaced_rx_bytes[..], &answer.unplaced_tx_bytes];
        self.add(node, answer.from_ms, columns, &answer.covered_ms, unplaced);
    }

    fn add(
        &mut self,
        node: &str,
        from_ms: i64,
        [rx, tx]: [&[Option<u64>]; 2],
        covered_ms: &[u64],
        unplaced: [&[u64]; 2],
    ) {
        let minutes = self.minutes.entry(node.to_owned()).or_default();
        for (place, rx_bytes) in rx.iter().enumerate() {
            if let (Some(rx_bytes), Some(tx_bytes)) = (*rx_bytes, tx[place]) {
                let moved = Moved { rx_bytes, tx_bytes, covered_ms: covered_ms[place] };
                minutes.insert(from_ms / 60_000 + place as i64, moved);
            }
        }
        let [rx, tx] = unplaced.map(|bytes| bytes.iter().sum());
        self.unplaced.insert(node.to_owned(), (rx, tx));
    }
}

/// The most that a history has said of each node at any moment.
#[derive(Clone, Debug, Default)]
pub struct Highest(BTreeMap<String, High>);

#[derive(Clone, Debug, Default)]
struct High {
    minutes: BTreeMap<i64, Moved>,
    placed: Moved,
    whole: Moved,
}

impl Highest {
    /// Notes what the API says of a node now, in steps of a minute.
    pub fn note(&mut self, node: &str, answer: &HistoryJson) {
        let mut answers = Answers::default();
        answers.add_json(node, answer);
        let high = self.0.entry(node.to_owned()).or_default();
        let minutes = &answers.minutes[node];
        for (minute, moved) in minutes {
            high.minutes.entry(*minute).or_default().raise(*moved);
        }
        high.placed.raise(sum(minutes));
        high.whole.raise(answers.whole(node));
    }

    /// Of how many nodes something was noted.
    pub fn nodes(&self) -> usize {
        self.0.len()
    }

    /// Where it was above the truth. Of a node whose clock is wrong only the sum of its minutes is compared.
    pub fn above(&self, truth: &BTreeMap<String, Truth>) -> Vec<String> {
        let above = |(node, high): (&String, &High)| {
            let truth = truth.get(node)?;
            let is_above = match &truth.minutes {
                Some(expected) => {
                    let most = |minute| expected.get(minute).copied().unwrap_or_default();
                    high.whole.exceeds(truth.whole)
                        || high.minutes.iter().any(|(minute, moved)| moved.exceeds(most(minute)))
                }
                None => high.placed.exceeds(truth.whole),
            };
            is_above.then(|| format!("{node}: once {high:?}, and never was more than {truth:?} true"))
        };
        self.0.iter().filter_map(above).collect()
    }
}

fn sum(minutes: &BTreeMap<i64, Moved>) -> Moved {
    let mut sum = Moved::default();
    minutes.values().for_each(|moved| sum.add(*moved));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node with a wrong clock and one with a right one, of which bytes moved at an unknown moment.
    fn right() -> (Answers, BTreeMap<String, Truth>) {
        let moved = |bytes| Moved { rx_bytes: bytes, tx_bytes: 2 * bytes, covered_ms: 60_000 };
        let minutes = BTreeMap::from([(7, moved(10)), (8, moved(30)), (11, moved(50))]);
        let placed = sum(&minutes);
        let mut whole = placed;
        whole.add(Moved { rx_bytes: 4, tx_bytes: 1, covered_ms: 0 });
        let answers = Answers {
            minutes: [("a".to_owned(), minutes.clone()), ("b".to_owned(), minutes.clone())].into(),
            unplaced: [("a".to_owned(), (4, 1))].into(),
        };
        let truth = [
            ("a".to_owned(), Truth { minutes: Some(minutes), whole }),
            ("b".to_owned(), Truth { minutes: None, whole: placed }),
        ];
        (answers, truth.into())
    }

    fn check(mutate: impl Fn(&mut BTreeMap<i64, Moved>), nodes: &[&str]) {
        let (mut answers, truth) = right();
        answers.minutes.values_mut().for_each(mutate);
        let found = answers.differences(&truth);
        assert_eq!(found.iter().map(|line| &line[..1]).collect::<Vec<_>>(), nodes, "{found:?}");
    }

    #[test]
    fn what_is_right_differs_nowhere() {
        check(|_| {}, &[]);
    }

    #[test]
    fn a_row_that_is_dropped_doubled_or_off_by_one_is_found_at_every_node() {
        for minute in [7, 8, 11] {
            check(
                |minutes| {
                    minutes.remove(&minute);
                },
                &["a", "b"],
            );
            check(
                |minutes| {
                    let row = minutes[&minute];
                    minutes.get_mut(&minute).unwrap().add(row);
                },
                &["a", "b"],
            );
            check(
                |minutes| {
                    minutes.insert(minute + 100, minutes[&minute]);
                },
                &["a", "b"],
            );
            check(|minutes| minutes.get_mut(&minute).unwrap().rx_bytes += 1, &["a", "b"]);
            check(|minutes| minutes.get_mut(&minute).unwrap().tx_bytes -= 1, &["a", "b"]);
            check(|minutes| minutes.get_mut(&minute).unwrap().covered_ms -= 1, &["a", "b"]);
        }
    }

    #[test]
    fn a_row_that_is_shifted_or_swapped_is_found_where_the_clock_is_right() {
        for (minute, other) in [(7, 6), (8, 9), (11, 12)] {
            check(
                |minutes| {
                    let row = minutes.remove(&minute).unwrap();
                    minutes.insert(other, row);
                },
                &["a"],
            );
        }
        check(
            |minutes| {
                let (one, two) = (minutes[&7], minutes[&8]);
                minutes.extend([(7, two), (8, one)]);
            },
            &["a"],
        );
    }

    #[test]
    fn bytes_of_an_unknown_moment_that_are_lost_or_doubled_are_found_as_is_a_missing_node() {
        let (right, truth) = right();
        for unplaced in [(0, 0), (8, 2), (4, 0), (5, 1)] {
            let mut wrong = right.clone();
            wrong.unplaced.insert("a".to_owned(), unplaced);
            assert_eq!(wrong.differences(&truth).len(), 1, "{unplaced:?}");
        }
        let mut wrong = right;
        wrong.minutes.remove("b");
        assert_eq!(wrong.differences(&truth).len(), 1);
    }

    #[test]
    fn one_byte_above_the_truth_is_found_however_briefly_it_was_there() {
        let (_, truth) = right();
        let answer = |rx_bytes: [Option<u64>; 5], unplaced_rx_bytes: u64| HistoryJson {
            from_ms: 7 * 60_000,
            tx_bytes: rx_bytes.map(|bytes| bytes.map(|_| 1)).to_vec(),
            rx_bytes: rx_bytes.to_vec(),
            covered_ms: vec![1_000; 5],
            unplaced_rx_bytes: vec![unplaced_rx_bytes],
            ..HistoryJson::default()
        };
        let most = [Some(10), Some(30), None, None, Some(50)];
        let mut highest = Highest::default();
        for node in ["a", "b", "somebody else"] {
            highest.note(node, &answer(most, if node == "a" { 4 } else { 0 }));
            highest.note(node, &answer([Some(1), None, None, None, None], 0));
        }
        assert_eq!((highest.nodes(), highest.above(&truth)), (3, Vec::new()));
        for (wrong, unplaced, nodes) in [
            ([Some(11), None, None, None, None], 0, &["a"][..]),
            ([None, Some(0), Some(1), None, None], 0, &["a"]),
            (most, 5, &["a"]),
            ([Some(10), Some(30), Some(1), None, Some(50)], 0, &["a", "b"]),
        ] {
            let mut highest = highest.clone();
            for node in ["a", "b"] {
                highest.note(node, &answer(wrong, unplaced));
                highest.note(node, &answer(most, 0));
            }
            let above = highest.above(&truth);
            assert_eq!(above.iter().map(|line| &line[..1]).collect::<Vec<_>>(), nodes, "{above:?}");
        }
    }
}
