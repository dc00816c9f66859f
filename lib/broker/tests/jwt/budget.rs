//! How much of the broker's storage a key can take.

use std::collections::BTreeSet;

use async_nats::jetstream::{self, stream};
use futures_util::future::join_all;
use tidemap_service::streams::{self, CHECKPOINTS, HISTORY, LEASES};
use tidemap_wire::{PartitionCount, Slot, subject};

use super::fleet::{Fleet, User, node, now_s};

/// Near the largest message of the log.
const LARGE: usize = 60_000;

/// Sends the largest reports, a few at a time. Returns how many are stored, and why the others are not.
async fn flood(user: &User, subjects: &[String]) -> (usize, BTreeSet<String>) {
    let js = jetstream::new(user.client.clone());
    let (mut stored, mut refusals) = (0, BTreeSet::new());
    for some in subjects.chunks(32) {
        let sent = some.iter().map(|subject| js.publish(subject.clone(), vec![7; LARGE].into()));
        let acks = join_all(sent).await.into_iter().map(|ack| ack.unwrap().into_future());
        for ack in join_all(acks).await {
            match ack {
                Ok(_) => stored += 1,
                Err(refused) => drop(refusals.insert(refused.to_string())),
            }
        }
    }
    (stored, refusals)
}

async fn configs(js: &jetstream::Context) -> Vec<stream::Config> {
    let names = PartitionCount::default().all().map(streams::name);
    let names = names.chain([LEASES, CHECKPOINTS].map(streams::bucket_stream)).chain([HISTORY.to_owned()]);
    let configs = names.map(|name| async { js.get_stream(name).await.unwrap().cached_info().config.clone() });
    join_all(configs).await
}

fn sum(configs: &[stream::Config]) -> i64 {
    configs.iter().map(|config| config.max_bytes).sum()
}

/// Writes leases, and checkpoints as large as a part may be, again and again.
async fn write_buckets(js: &jetstream::Context) {
    let leases = js.get_key_value(LEASES).await.unwrap();
    let checkpoints = js.get_key_value(CHECKPOINTS).await.unwrap();
    for turn in 0..4 {
        for partition in PartitionCount::default().all() {
            leases.put(format!("p.{partition}"), "lease".into()).await.unwrap();
        }
        for part in 0..4 {
            checkpoints.put(format!("s.{part}"), vec![turn; 512 << 10].into()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn whoever_fills_the_log_leaves_leases_and_checkpoints_their_storage() {
    let fleet = Fleet::start_with_storage(64).await;
    let js = jetstream::new(fleet.service.clone());
    assert!(streams::bound(&js, PartitionCount::default(), None, false).await.unwrap());
    let agent = fleet.agent("a").await;
    let (stored, refusals) = flood(&agent, &vec![subject::sample(&node("a")); 1_500]).await;
    let partition = PartitionCount::default().of(Slot::of(&node("a")));
    let log = js.get_stream(streams::name(partition)).await.unwrap();
    let (held, bound) = (log.cached_info().state.bytes, log.cached_info().config.max_bytes);
    println!("an agent: {stored} of 1,500 reports of 60 KB, {held} of {bound} bytes; {refusals:?}");
    assert!(stored > 50 && held <= u64::try_from(bound).unwrap());
    let is_full = |refusal: &String| refusal.contains("maximum bytes exceeded");
    assert!(!refusals.is_empty() && refusals.iter().all(is_full));
    write_buckets(&js).await;
    let mut others = (0..).map(|number| format!("web-{number}"));
    let other = others.find(|name| PartitionCount::default().of(Slot::of(&node(name))) != partition).unwrap();
    let report = jetstream::new(fleet.agent(&other).await.client.clone());
    report.publish(subject::sample(&node(&other)), "report".into()).await.unwrap().await.unwrap();

    // A relay may report as any node, so its key can fill all logs.
    let relay = fleet.operator.enroll_relay(&node("edge"), now_s()).unwrap().creds_path;
    let relay = User::connect(&fleet.broker, &relay, &subject::relay_inbox(&node("edge"))).await;
    let all = (0..5).flat_map(|_| Slot::all());
    let packs: Vec<String> = all.map(|slot| subject::pack(slot, &node("edge"))).collect();
    let (stored, refusals) = flood(&relay, &packs).await;
    let used = js.query_account().await.unwrap().storage;
    println!("a relay: {stored} of {} packs, {used} bytes in all; {refusals:?}", packs.len());
    assert!(!refusals.is_empty() && refusals.iter().all(is_full) && used < 64 << 20);
    write_buckets(&js).await;
}

#[tokio::test]
async fn streams_of_an_older_tidemap_are_bounded_in_place_once() {
    let fleet = Fleet::start().await;
    let js = jetstream::new(fleet.service.clone());
    let agent = fleet.agent("a").await;
    assert_eq!(flood(&agent, &[subject::sample(&node("a"))]).await.0, 1);
    write_buckets(&js).await;
    assert!(configs(&js).await.iter().all(|config| config.max_bytes == -1), "as an older Tidemap makes them");

    assert!(streams::bound(&js, PartitionCount::default(), None, false).await.unwrap());
    let bounded = configs(&js).await;
    assert!(bounded.iter().all(|config| config.max_bytes > 0) && sum(&bounded) <= 64_000_000_000);
    // A worker that starts again, of this version or of the older one, changes nothing.
    streams::ensure(&js, PartitionCount::default(), 1).await.unwrap();
    assert_eq!(configs(&js).await, bounded);
    assert!(streams::bound(&js, PartitionCount::default(), None, false).await.unwrap());
    assert_eq!(configs(&js).await, bounded);

    for budget in [500_000_000, 2_000_000_000] {
        let given = format!("{}MB", budget / 1_000_000).parse().unwrap();
        assert!(streams::bound(&js, PartitionCount::default(), Some(given), true).await.unwrap());
        assert!((budget / 100 * 99..=budget).contains(&sum(&configs(&js).await)));
    }
    let bounded = configs(&js).await;
    js.delete_stream("TIDEMAP_3").await.unwrap();
    streams::ensure(&js, PartitionCount::default(), 1).await.unwrap();
    assert!(streams::bound(&js, PartitionCount::default(), None, false).await.unwrap());
    assert_eq!(sum(&configs(&js).await) / 1_000, sum(&bounded) / 1_000, "it has its share again");
    assert_eq!(fleet.logged().await, 1);
    write_buckets(&js).await;
}

#[tokio::test]
async fn a_disk_that_has_become_too_small_stops_nobody() {
    let mut fleet = Fleet::start_with_storage(200).await;
    let js = jetstream::new(fleet.service.clone());
    assert!(streams::bound(&js, PartitionCount::default(), None, false).await.unwrap());
    let bounded = configs(&js).await;
    println!("of 200 MiB {} bytes are promised", sum(&bounded));
    assert!(sum(&bounded) < 200 << 20 && sum(&bounded) > 150 << 20);
    fleet.broker.stop().await;
    fleet.broker.set_storage(100);
    fleet.broker.start_again().await;
    let service = User::connect(&fleet.broker, &fleet.operator.service_creds_path(), "_INBOX").await.client;
    let js = jetstream::new(service);
    for given in [None, Some("150MB".parse().unwrap())] {
        streams::ensure(&js, PartitionCount::default(), 1).await.unwrap();
        assert!(streams::bound(&js, PartitionCount::default(), given, given.is_some()).await.unwrap());
        assert_eq!(configs(&js).await, bounded);
    }
    write_buckets(&js).await;
    let agent = fleet.agent("a").await;
    assert_eq!(flood(&agent, &[subject::sample(&node("a"))]).await.0, 1);
}

/// Fills the logs of an older Tidemap, which have no bounds, with about so many megabytes in all.
async fn fill(fleet: &Fleet, megabytes: usize) {
    let relay = fleet.operator.enroll_relay(&node("edge"), now_s()).unwrap().creds_path;
    let relay = User::connect(&fleet.broker, &relay, &subject::relay_inbox(&node("edge"))).await;
    let packs = (0..).flat_map(|_| Slot::all()).map(|slot| subject::pack(slot, &node("edge")));
    let packs: Vec<String> = packs.take(megabytes * 1_000_000 / LARGE).collect();
    assert_eq!(flood(&relay, &packs).await.0, packs.len());
}

/// Requests of all clients that JetStream has received, without this one.
async fn requests(js: &jetstream::Context) -> u64 {
    js.query_account().await.unwrap().requests.total
}

#[tokio::test]
async fn logs_that_hold_much_of_a_small_disk_are_bounded_too() {
    let fleet = Fleet::start_with_storage(64).await;
    let js = jetstream::new(fleet.service.clone());
    fill(&fleet, 48).await;
    let before = requests(&js).await;
    assert!(streams::bound(&js, PartitionCount::default(), None, false).await.unwrap());
    println!("64 MiB of storage, 48 MB held: bounded with {} requests", requests(&js).await - before);
    let bounded = configs(&js).await;
    assert!(bounded.iter().all(|config| config.max_bytes > 0) && sum(&bounded) < 64 << 20, "{bounded:?}");
    write_buckets(&js).await;
}

#[tokio::test]
async fn where_the_logs_do_not_fit_buckets_have_their_storage_and_few_requests_are_made() {
    let fleet = Fleet::start_with_storage(64).await;
    let js = jetstream::new(fleet.service.clone());
    fill(&fleet, 62).await;
    for turn in ["first", "next"] {
        let before = requests(&js).await;
        assert!(!streams::bound(&js, PartitionCount::default(), None, false).await.unwrap());
        let made = requests(&js).await - before;
        println!("64 MiB of storage, 62 MB held: {made} requests at the {turn} attempt");
        assert!(made < 70, "{made} requests at the {turn} attempt");
        let bounded = configs(&js).await;
        let (logs, buckets) = bounded.split_at(8);
        assert!(buckets[0].max_bytes > 100_000 && buckets[1].max_bytes > 2_000_000, "{buckets:?}");
        assert!(logs.iter().filter(|config| config.max_bytes > 0).count() >= 5, "{logs:?}");
    }
}

#[tokio::test]
async fn a_disk_of_almost_nothing_bounds_what_it_can() {
    let fleet = Fleet::start_with_storage(12).await;
    let js = jetstream::new(fleet.service.clone());
    assert!(!streams::bound(&js, PartitionCount::default(), None, false).await.unwrap());
    let bounded = configs(&js).await;
    assert!(bounded[8..].iter().all(|config| config.max_bytes > 0), "{bounded:?}");
    assert!(sum(&bounded) < 12 << 20, "{bounded:?}");
}

#[tokio::test]
async fn a_stream_that_is_created_again_has_its_share_whatever_the_others_have() {
    let fleet = Fleet::start().await;
    let js = jetstream::new(fleet.service.clone());
    let given = "2GB".parse().unwrap();
    assert!(streams::bound(&js, PartitionCount::default(), Some(given), true).await.unwrap());
    let bounded = configs(&js).await;
    // The operator's own.
    let own = stream::Config { max_bytes: 10 * bounded[5].max_bytes, ..bounded[5].clone() };
    js.update_stream(own.clone()).await.unwrap();
    js.delete_stream("TIDEMAP_3").await.unwrap();
    streams::ensure(&js, PartitionCount::default(), 1).await.unwrap();
    assert!(streams::bound(&js, PartitionCount::default(), None, false).await.unwrap());
    let again = configs(&js).await;
    assert!((bounded[3].max_bytes - again[3].max_bytes).abs() < 10_000, "{:?}", again[3]);
    assert_eq!(again[5].max_bytes, own.max_bytes);
}

#[tokio::test]
async fn a_budget_that_is_divided_already_changes_nothing() {
    let fleet = Fleet::start().await;
    let js = jetstream::new(fleet.service.clone());
    let given = "2GB".parse().unwrap();
    assert!(streams::bound(&js, PartitionCount::default(), Some(given), true).await.unwrap());
    let bounded = configs(&js).await;
    let asked_for_streams = 12;
    for redivide in [true, false] {
        let before = requests(&js).await;
        assert!(streams::bound(&js, PartitionCount::default(), Some(given), redivide).await.unwrap());
        assert_eq!(requests(&js).await - before, asked_for_streams + 1);
    }
    // The broker has lost everything.
    let names = bounded.iter().map(|config| &config.name);
    join_all(names.map(async |name| js.delete_stream(name).await.unwrap())).await;
    streams::ensure(&js, PartitionCount::default(), 1).await.unwrap();
    assert!(streams::bound(&js, PartitionCount::default(), Some(given), false).await.unwrap());
    assert_eq!(configs(&js).await, bounded);
}

#[tokio::test]
async fn yesterdays_bounds_stay_but_for_what_checkpoints_give_to_the_history() {
    let fleet = Fleet::start().await;
    let js = jetstream::new(fleet.service.clone());
    let given = "2GB".parse().unwrap();
    assert!(streams::bound(&js, PartitionCount::default(), Some(given), true).await.unwrap());
    js.delete_stream(HISTORY).await.unwrap();
    let checkpoints = js.get_stream(streams::bucket_stream(CHECKPOINTS)).await.unwrap();
    let max_bytes = 2_000_000_000 / 256 * 15;
    let config = stream::Config { max_bytes, ..checkpoints.cached_info().config.clone() };
    js.update_stream(config).await.unwrap();
    streams::ensure(&js, PartitionCount::default(), 1).await.unwrap();
    let before = configs(&js).await;
    assert!(streams::bound(&js, PartitionCount::default(), None, false).await.unwrap());
    let after = configs(&js).await;
    assert_eq!(before[..9], after[..9], "logs and leases");
    assert!(after[9].max_bytes < max_bytes && after[10].max_bytes > 30_000_000, "{after:?}");
    assert!(sum(&after) <= 2_000_000_000);
}

#[tokio::test]
async fn a_token_without_limits_is_limited_by_its_account() {
    let fleet = Fleet::start().await;
    let mut agent = fleet.agent("a").await;
    let mut subscriptions = Vec::new();
    for number in 0..1_000 {
        subscriptions.push(agent.client.subscribe(format!("_INBOX.a.{number}")).await.unwrap());
    }
    let refused = agent.until(|event| event.to_string().contains("maximum subscriptions exceeded")).await;
    println!("1,000 subscriptions → {refused}");
    let other = fleet.agent("b").await;
    assert_eq!(flood(&other, &[subject::sample(&node("b"))]).await.0, 1);
}
