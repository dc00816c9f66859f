//! Traffic against a count of single minutes that knows nothing of steps, tiers and ranges.

use std::ops::Range;

use tidemap_wire::history_query::{
    HistoryAnswer, HistoryError, HistoryRequest, HistorySeries, RangeAnswer, RangeRequest,
};

use super::{history::station, traffic::status, *};

/// What a node received and sent in a minute; nothing is known of every seventh or so.
fn minute(node: &str, minute: i64) -> Option<(u64, u64)> {
    let seed = node.bytes().fold(minute.unsigned_abs(), |seed, byte| {
        (seed ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    (seed % 7 > 0).then_some((seed >> 40, seed >> 50))
}

fn sum(node: &str, minutes: Range<i64>) -> (Option<(u64, u64)>, u64) {
    let known: Vec<_> = minutes.filter_map(|at| minute(node, at)).collect();
    let sum = known.iter().fold((0, 0), |sum, (rx, tx)| (sum.0 + rx, sum.1 + tx));
    ((!known.is_empty()).then_some(sum), known.len() as u64 * 60_000)
}

/// Steps of these minutes, as far as `until` minutes are there.
fn steps(request: &RangeRequest, node: &str, until: i64) -> Vec<HistoryAnswer> {
    let step = request.step_ms.unwrap() as i64 / 60_000;
    let begins: Vec<i64> =
        (request.from_ms / 60_000..request.to_ms / 60_000).step_by(step as usize).collect();
    let part = |begins: &[i64]| {
        let sums: Vec<_> =
            begins.iter().map(|from| sum(node, *from..(from + step).min(until).max(*from))).collect();
        let column =
            |of: fn((u64, u64)) -> u64| sums.iter().map(|(known, _)| known.map(of)).collect::<Vec<_>>();
        RangeAnswer {
            from_ms: begins[0] * 60_000,
            step_ms: step as u64 * 60_000,
            tier_ms: 60_000,
            complete_until_ms: until * 60_000,
            rx_bytes: column(|known| known.0),
            tx_bytes: column(|known| known.1),
            rx_bps: column(|_| 0),
            tx_bps: column(|_| 0),
            rx_max_bps: column(|_| 0),
            tx_max_bps: column(|_| 0),
            rx_min_bps: column(|_| 0),
            tx_min_bps: column(|_| 0),
            covered_ms: sums.iter().map(|(_, covered_ms)| *covered_ms).collect(),
            unplaced_rx_bytes: vec![1; begins.len()],
            unplaced_tx_bytes: vec![0; begins.len()],
            host: None,
            remote_until_ms: None,
            warning: None,
        }
    };
    begins.chunks(RangeAnswer::STEPS_OF_A_PART).map(|begins| HistoryAnswer::Range(part(begins))).collect()
}

/// The 95th percentile of slots, as one would count them by hand: bytes per second.
/// None when no slot is over.
fn percentile(nodes: &[&str], period: Range<i64>, until: i64) -> Option<(usize, [u64; 3])> {
    let first = (period.start + 4) / 5 * 5;
    let slots: Vec<(u64, u64)> = (first..period.end)
        .step_by(5)
        .filter(|slot| slot + 5 <= until)
        .filter_map(|slot| {
            let of_nodes: Vec<_> = nodes.iter().filter_map(|node| sum(node, slot..slot + 5).0).collect();
            (!of_nodes.is_empty())
                .then(|| of_nodes.iter().fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1)))
        })
        .collect();
    let of = |value: fn(&(u64, u64)) -> u64| {
        let mut values: Vec<u64> = slots.iter().map(value).collect();
        values.sort_unstable();
        values[(values.len() * 95).div_ceil(100) - 1] / 300
    };
    (!slots.is_empty())
        .then(|| (slots.len(), [of(|slot| slot.0), of(|slot| slot.1), of(|slot| slot.0 + slot.1)]))
}

#[tokio::test]
async fn sums_and_percentiles_are_those_of_a_count_of_single_minutes() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let plans = [
        ("a", "cycle = 'month'\nanchor = '2026-01-31 22:37'\ntime_zone = 'Asia/Kathmandu'"),
        ("b", "cycle = 'day'\ntime_zone = 'Africa/Cairo'"),
        ("c", "cycle = '2 weeks'\ntime_zone = 'Australia/Lord_Howe'"),
        ("d", "cycle = 'hour'\nanchor = '2026-01-01 00:07'"),
        ("e", "cycle = 'rolling 7d'"),
        ("f", "cycle = 'month'\ntime_zone = 'Europe/Zurich'"),
    ];
    for (name, lines) in plans {
        let plan = format!("[[plan]]\nname = '{name}'\nnodes = ['one', 'two']\np95 = true\n{lines}\n");
        std::io::Write::write_all(&mut file, plan.as_bytes()).unwrap();
    }
    let api = TestApi::start_with(&["--traffic", file.path().to_str().unwrap()]).await;
    let mut status = status(0);
    // The newest slot is not whole.
    let until = status.complete_until_ms / 60_000 / 5 * 5 - 2;
    status.complete_until_ms = until * 60_000;
    station(&api, move |request| match request {
        HistoryRequest::Status => vec![HistoryAnswer::Status(status.clone())],
        HistoryRequest::Range(request) => match &request.of {
            HistorySeries::Node(node) => steps(&request, node.as_str(), until),
            _ => vec![HistoryAnswer::Refused(HistoryError::UnknownSeries)],
        },
        HistoryRequest::Top(_) => vec![HistoryAnswer::Refused(HistoryError::Unreadable)],
    })
    .await;
    let nodes = ["one", "two"];
    for (name, _) in plans {
        let (code, said) = api.get(&format!("/api/traffic?plan={name}&periods=3")).await;
        assert_eq!(code, 200, "{said}");
        for period in said["periods"].as_array().unwrap() {
            let at = |name: &str| period[name].as_i64().unwrap() / 60_000;
            let minutes = at("from_ms")..at("to_ms");
            let counted = nodes.map(|node| sum(node, minutes.start..minutes.end.min(until)));
            let bytes = counted.iter().fold((0, 0), |sum, (of, _)| {
                let (rx, tx) = of.unwrap_or_default();
                (sum.0 + rx, sum.1 + tx)
            });
            let unplaced = period["unplaced_rx_bytes"].as_u64().unwrap();
            assert_eq!(period["rx_bytes"].as_u64(), Some(bytes.0 + unplaced), "{name} {period}");
            assert_eq!(period["tx_bytes"].as_u64(), Some(bytes.1), "{name} {period}");
            assert_eq!(period["covered_ms"].as_u64(), Some(counted.iter().map(|(_, covered)| covered).sum()));
            let expected = 2 * (minutes.end.min(until) - minutes.start).max(0) * 60_000;
            assert_eq!(period["expected_ms"].as_i64(), Some(expected), "{name} {period}");
            let bill = &period["p95"];
            let Some((present, p95)) = percentile(&nodes, minutes, until) else {
                assert!(bill.is_null(), "{name} {period}");
                continue;
            };
            let said = ["rx", "tx", "both"].map(|direction| bill[direction]["p95_bps"].as_u64().unwrap());
            assert_eq!(
                (bill["present_slots"].as_u64(), said),
                (Some(present as u64), p95),
                "{name} {period}"
            );
            assert_eq!(bill["billed_bps"].as_u64(), Some(p95[0].max(p95[1])), "{name} {period}");
        }
    }
    api.stop().await;
}
