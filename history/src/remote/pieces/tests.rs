use std::collections::BTreeSet;

use super::*;

fn piece(series: Range<usize>, minutes: Range<u32>) -> Piece {
    Piece { series, minutes }
}

/// Places of series and minutes.
fn cells(piece: &Piece) -> impl Iterator<Item = (usize, u32)> {
    let minutes = piece.minutes.clone();
    piece.series.clone().flat_map(move |series| minutes.clone().map(move |minute| (series, minute)))
}

fn other() -> Verdict {
    Verdict::Refused(Why::Other, "no".to_owned())
}

#[test]
fn all_is_taken_but_the_series_that_are_refused() {
    let bad = [0, 1, 17];
    let mut taken = BTreeSet::new();
    let outcome = send(piece(0..20, 0..10), &mut 0, |piece| {
        if bad.iter().any(|series| piece.series.contains(series)) {
            return other();
        }
        taken.extend(cells(piece));
        Verdict::Taken
    });
    let refused: Vec<_> = outcome.refused.iter().map(|(piece, ..)| piece.clone()).collect();
    assert_eq!(refused, bad.map(|series| piece(series..series + 1, 0..10)));
    assert_eq!((taken.len(), outcome.later), (170, None));
}

#[test]
fn what_is_too_old_is_found_in_few_requests_and_is_not_asked_for_again() {
    for oldest in 0..=60 {
        let (mut floor, mut requests) = (0, 0);
        let mut taken = BTreeSet::new();
        let mut post = |piece: &Piece| {
            requests += 1;
            if piece.minutes.start < oldest {
                return Verdict::Refused(Why::TooOld, "too old sample".to_owned());
            }
            taken.extend(cells(piece));
            Verdict::Taken
        };
        let outcome = send(piece(0..3, 0..60), &mut floor, &mut post);
        let refused: BTreeSet<_> = outcome.refused.iter().flat_map(|(piece, ..)| cells(piece)).collect();
        assert_eq!(refused.len(), 3 * oldest as usize, "{oldest}");
        assert!(outcome.refused.iter().all(|(_, why, _)| *why == Why::TooOld) && outcome.later.is_none());
        assert_eq!(floor, oldest, "what is known now");
        let outcome = send(piece(3..6, 0..60), &mut floor, &mut post);
        assert_eq!(outcome.refused.len(), usize::from(oldest > 0));
        assert_eq!(taken.len(), 6 * (60 - oldest as usize));
        assert!(requests <= 14, "{oldest}: {requests}");
    }
}

#[test]
fn a_receiver_that_is_away_is_asked_again() {
    let later = Later { after: Some(Duration::from_secs(7)), why: String::new() };
    let outcome = send(piece(0..8, 0..1), &mut 0, |piece| match piece.series.start {
        0 if piece.series.len() > 4 => other(),
        0 => Verdict::Taken,
        _ => Verdict::Later(later.clone()),
    });
    assert_eq!(outcome, Outcome { refused: vec![], later: Some(later) });
}

#[test]
fn one_that_refuses_everything_is_not_the_right_one_and_loses_nothing() {
    let mut requests = 0;
    let outcome = send(piece(0..900, 0..60), &mut 0, |_| {
        requests += 1;
        other()
    });
    assert_eq!(outcome.later.unwrap().why, "it takes nothing: no");
    assert!(requests < 200, "{requests}");
    // Of series that it has already, nothing is missing.
    let not_next = |_: &Piece| Verdict::Refused(Why::NotNext, "out of order sample".to_owned());
    let outcome = send(piece(0..40, 0..60), &mut 0, not_next);
    assert_eq!((outcome.refused.len(), outcome.later), (40, None));
}

#[test]
fn what_is_too_large_is_halved() {
    let mut sizes = Vec::new();
    let outcome = send(piece(0..4, 0..4), &mut 0, |piece| {
        sizes.push(cells(piece).count());
        if sizes.last() > Some(&2) { Verdict::TooLarge(String::new()) } else { Verdict::Taken }
    });
    assert_eq!(outcome, Outcome::default());
    assert_eq!(sizes.iter().filter(|size| **size == 2).count(), 8);
}

#[test]
fn each_answer_has_its_verdict() {
    let refused = |why, said: &str| Verdict::Refused(why, said.to_owned());
    let later = |after, why: &str| Verdict::Later(Later { after, why: why.to_owned() });
    assert_eq!(verdict(204, None, ""), Verdict::Taken);
    assert_eq!(verdict(503, Some("3"), ""), later(Some(Duration::from_secs(3)), "it answers 503: "));
    assert_eq!(verdict(429, Some("soon"), "slow\ndown"), later(None, "it answers 429: slow"));
    assert_eq!(verdict(404, None, "nothing here"), later(None, "it answers 404: nothing here"));
    assert_eq!(verdict(500, None, "storage is full"), later(None, "it answers 500: storage is full"));
    assert_eq!(verdict(500, None, "too old sample\n"), refused(Why::TooOld, "too old sample"));
    assert_eq!(verdict(400, None, "out of bounds\n"), refused(Why::TooOld, "out of bounds"));
    assert_eq!(verdict(400, None, "out of order sample\nx"), refused(Why::NotNext, "out of order sample"));
    assert_eq!(verdict(422, None, "a \u{1b}[1mname"), refused(Why::Other, "a [1mname"));
    assert_eq!(verdict(413, None, "big"), Verdict::TooLarge("big".to_owned()));
}
