use tidemap_service::streams::ALERTS;
use tidemap_testkit::broker::TestBroker;

use super::*;

#[tokio::test]
async fn a_full_bucket_takes_the_lease_without_its_warnings() {
    let broker = TestBroker::start().await.unwrap();
    let js = jetstream::new(broker.connect().await.unwrap());
    let config = kv::Config { bucket: ALERTS.to_owned(), max_bytes: 16_000, ..kv::Config::default() };
    let bucket = js.create_key_value(config).await.unwrap();
    bucket.put(LEASE_KEY, "{\"owner\":\"\"}".into()).await.unwrap();
    let warned = |bytes: usize| AlertLease { warnings: vec!["x".repeat(bytes)], ..AlertLease::default() };
    let (status, held) = (watch::Sender::new(warned(600)), watch::Sender::new(None));
    let mut task = LeaseTask {
        view: LeaseView::new("me"),
        js: js.clone(),
        me: "me".to_owned(),
        bucket: Some(bucket.clone()),
        status: status.subscribe(),
        held: held.clone(),
        since_ms: 0,
        started: Stopwatch::start(),
        failing_since: None,
        failures: Throttle::new(LOG_PERIOD),
    };
    let lease = async || -> AlertLease {
        serde_json::from_slice(&bucket.get(LEASE_KEY).await.unwrap().unwrap()).unwrap()
    };
    task.turn().await.unwrap();
    assert_eq!(lease().await.warnings, warned(600).warnings);
    assert_eq!(held.borrow().unwrap().room, Room::Enough);

    for number in 0.. {
        if bucket.put(format!("other.{number}"), vec![0; 100].into()).await.is_err() {
            break;
        }
    }
    status.send_replace(warned(3_000));
    for _ in 0..3 {
        task.turn().await.unwrap();
        assert_eq!(lease().await.warnings, [""; 0]);
        assert_eq!(held.borrow().unwrap().room, Room::Reserve);
    }
    let taken = held.borrow().unwrap().taken;

    // What others have written is no reason to write again.
    bucket.put(LEASE_KEY, "{\"owner\":\"\"}".into()).await.unwrap();
    let revision = task.view.held().unwrap().0;
    let error = update(&bucket, &AlertLease::default(), revision).await.unwrap_err();
    assert!(!is_refused(&error), "{error:?}");
    assert!(taken < revision);
}
