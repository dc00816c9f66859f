use super::*;
use proptest::prelude::*;

fn live_at(now_ms: f64) -> Connection {
    let mut connection = Connection::new(now_ms);
    connection.opened(now_ms);
    connection.heard(now_ms);
    connection
}

#[test]
fn loading_becomes_live_with_the_first_event() {
    let mut connection = Connection::new(0.0);
    assert_eq!(connection.phase(50.0), Phase::Loading);
    connection.opened(100.0);
    assert_eq!(connection.phase(110.0), Phase::Loading);
    connection.heard(120.0);
    assert_eq!(connection.phase(130.0), Phase::Live);
}

#[test]
fn silence_is_stale_after_three_seconds_and_given_up_after_ten() {
    let mut connection = live_at(0.0);
    assert_eq!(connection.tick(2900.0, 0.5), Action::Keep);
    assert_eq!(connection.phase(2900.0), Phase::Live);
    assert_eq!(connection.phase(3500.0), Phase::Stale { silent_ms: 3500.0 });
    assert_eq!(connection.tick(9900.0, 0.5), Action::Keep);
    assert_eq!(connection.tick(10_000.0, 0.5), Action::Open);
    assert_eq!(connection.phase(10_500.0), Phase::Disconnected { retry_in_ms: 0.0 });
    connection.opened(11_000.0);
    assert_eq!(connection.phase(11_100.0), Phase::Disconnected { retry_in_ms: 0.0 }, "nothing has come yet");
    connection.heard(11_200.0);
    assert_eq!(connection.phase(11_300.0), Phase::Live);
}

#[test]
fn a_broken_stream_is_counted_down_while_the_browser_retries() {
    let mut connection = live_at(0.0);
    connection.interrupted(1000.0);
    assert_eq!(connection.phase(1500.0), Phase::Disconnected { retry_in_ms: 1500.0 });
    assert_eq!(connection.tick(12_900.0, 0.5), Action::Keep);
    assert_eq!(connection.tick(13_000.0, 1.0), Action::Close, "the browser's own try hangs");
    assert_eq!(connection.phase(13_000.0), Phase::Disconnected { retry_in_ms: 2000.0 });
}

#[test]
fn failures_back_off_from_one_second_to_thirty() {
    let mut connection = Connection::new(0.0);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert_eq!(connection.failed(0.0, 1.0), Action::Close);
        let Phase::Disconnected { retry_in_ms } = connection.phase(0.0) else { panic!("still connected") };
        pauses.push(retry_in_ms / 1000.0);
        assert_eq!(connection.tick(retry_in_ms, 1.0), Action::Open);
    }
    assert_eq!(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
}

#[test]
fn ten_good_seconds_reset_the_backoff() {
    let mut connection = live_at(0.0);
    for _ in 0..5 {
        let _closed = connection.failed(0.0, 1.0);
    }
    connection.opened(0.0);
    connection.heard(9500.0);
    assert_eq!(connection.tick(10_000.0, 1.0), Action::Keep);
    let _closed = connection.failed(11_000.0, 1.0);
    assert_eq!(connection.phase(11_000.0), Phase::Disconnected { retry_in_ms: 1000.0 });
}

#[test]
fn the_reader_can_reconnect_before_the_countdown_ends() {
    let mut connection = live_at(0.0);
    let _closed = connection.failed(0.0, 0.0);
    assert_eq!(connection.retry_now(10.0), Action::Open);
    assert_eq!(connection.phase(10.0), Phase::Disconnected { retry_in_ms: 0.0 });
}

#[test]
fn a_hidden_page_sleeps_after_a_minute_and_wakes_when_seen() {
    let mut connection = live_at(0.0);
    assert_eq!(connection.seen(false, 0.0), Action::Keep);
    connection.heard(59_000.0);
    assert_eq!(connection.tick(59_999.0, 0.5), Action::Keep);
    assert_eq!(connection.tick(60_000.0, 0.5), Action::Close);
    assert_eq!(connection.tick(90_000.0, 0.5), Action::Keep);
    assert_eq!(connection.seen(true, 100_000.0), Action::Open);
    assert_eq!(connection.phase(100_000.0), Phase::Loading);
}

#[test]
fn a_page_that_asks_for_what_is_new_says_so_until_a_stream_opens() {
    let mut connection = Connection::new(0.0);
    connection.opened(5000.0);
    connection.polled();
    connection.heard(5000.0);
    assert_eq!(connection.phase(5000.0), Phase::Polled);
    assert_eq!(connection.phase(8500.0), Phase::Polled, "answers come every two seconds, or a little later");
    assert_eq!(connection.phase(13_500.0), Phase::Stale { silent_ms: 8500.0 });
    connection.opened(14_000.0);
    connection.heard(14_000.0);
    assert_eq!(connection.phase(14_000.0), Phase::Live);
}

#[test]
fn a_stream_that_breaks_again_and_again_is_no_trouble_once_the_page_asks_instead() {
    let mut connection = live_at(0.0);
    for _ in 0..3 {
        connection.interrupted(3000.0);
    }
    connection.opened(3100.0);
    connection.polled();
    connection.heard(3100.0);
    assert_eq!(connection.phase(3100.0), Phase::Polled);
    assert_eq!(connection.tick(13_000.0, 0.5), Action::Keep);
    connection.heard(13_000.0);
    assert_eq!(connection.phase(13_100.0), Phase::Polled, "it is no failure that leads to another try");
}

#[test]
fn a_page_that_the_browser_stops_leaves_the_stream_and_opens_it_when_it_is_seen_again() {
    let mut connection = live_at(0.0);
    assert_eq!(connection.suspended(), Action::Close);
    assert_eq!(connection.tick(400_000.0, 0.5), Action::Keep);
    assert_eq!(connection.seen(false, 400_000.0), Action::Keep, "it goes on, but nobody looks at it");
    assert_eq!(connection.seen(true, 500_000.0), Action::Open);
}

proptest! {
    #[test]
    fn whatever_happens_the_page_reconnects(steps in proptest::collection::vec(0_u8..8, 0..40)) {
        let (mut connection, mut now_ms) = (Connection::new(0.0), 0.0);
        for step in steps {
            now_ms += 700.0;
            let _action = match step {
                0 => { connection.opened(now_ms); Action::Keep }
                1 => { connection.heard(now_ms); Action::Keep }
                2 => { connection.interrupted(now_ms); Action::Keep }
                3 => connection.failed(now_ms, 0.5),
                4 => { connection.polled(); Action::Keep }
                5 => connection.suspended(),
                6 => connection.seen((now_ms as u64).is_multiple_of(2), now_ms),
                _ => connection.tick(now_ms, 0.5),
            };
        }
        let mut opens = connection.seen(true, now_ms) == Action::Open;
        let deadline_ms = now_ms + 2.0 * SILENT_MS + BACK_OFF_MAX_MS;
        while !opens && now_ms < deadline_ms {
            now_ms += 500.0;
            opens = connection.tick(now_ms, 0.5) == Action::Open;
        }
        prop_assert!(opens, "silence always ends in a new stream");
    }
}
