use tidemap_client::notice_key;
use tidemap_wire::{AlertChange, AlertNotice, Severity};

use super::*;
use crate::testing::put;

fn bucket(channels: &[&str], notices: i64) -> AlertBucket {
    let mut bucket = AlertBucket::default();
    for number in 0..notices {
        let notice = AlertNotice {
            id: format!("{:x}", 9 - number),
            change: AlertChange::Fired,
            at_ms: number,
            rule: "offline".to_owned(),
            severity: Severity::Info,
            alerts: Vec::new(),
            count: 1,
        };
        let key = notice_key(&notice.id);
        let lacking = channels.iter().map(|channel| (*channel).to_owned()).collect();
        put(&mut bucket, &key, &NoticeRecord::new(notice, BTreeSet::new(), lacking), 1);
    }
    bucket
}

fn pair(channel: &str, id: &str) -> (String, String) {
    (channel.to_owned(), id.to_owned())
}

fn deliver(bucket: &mut AlertBucket, channel: &str, id: &str) {
    let notified = bucket.notices[id].value.without(channel, true, 5);
    put(bucket, &notice_key(id), &notified, 2);
}

#[test]
fn each_channel_gets_its_notices_in_order_and_one_at_a_time() {
    let (mut bucket, mut deliveries) = (bucket(&["mail", "ops"], 2), Deliveries::default());
    assert_eq!(deliveries.next(&bucket, 0), [pair("mail", "9"), pair("ops", "9")]);
    assert!(deliveries.next(&bucket, 0).is_empty());
    deliver(&mut bucket, "ops", "9");
    deliveries.ended("ops", "9", Outcome::Delivered, 0);
    assert_eq!(deliveries.next(&bucket, 0), [pair("ops", "8")]);
    assert_eq!(deliveries.counts()["ops"], ChannelCounts { sent: 1, failed: 0, dropped: 0 });
}

#[test]
fn what_was_delivered_is_not_sent_again_while_the_bucket_does_not_say_so() {
    let (mut bucket, mut deliveries) = (bucket(&["ops"], 1), Deliveries::default());
    let [(channel, id)] = &deliveries.next(&bucket, 0)[..] else { panic!("nothing to send") };
    deliveries.ended(channel, id, Outcome::Delivered, 0);
    // It could not be written, and another station judged meanwhile.
    deliveries.stopped();
    assert!(deliveries.next(&bucket, 0).is_empty());
    assert_eq!(deliveries.unmarked(&bucket), [pair(channel, id)]);
    deliver(&mut bucket, channel, id);
    assert!(deliveries.unmarked(&bucket).is_empty());
}

#[test]
fn a_channel_that_cannot_be_reached_rests_and_a_refused_notice_lets_others_pass() {
    let (mut bucket, mut deliveries) = (bucket(&["mail", "ops"], 2), Deliveries::default());
    deliveries.next(&bucket, 0);
    assert_eq!(deliveries.failures("mail"), 1);
    deliveries.ended("mail", "9", Outcome::Failed(Duration::from_secs(2)), 0);
    assert_eq!(deliveries.failures("mail"), 2);
    deliveries.ended("ops", "9", Outcome::Refused(Duration::from_secs(60)), 0);
    assert_eq!(deliveries.next(&bucket, 1_999), [pair("ops", "8")]);
    assert_eq!(deliveries.next(&bucket, 2_000), [pair("mail", "9")]);
    deliver(&mut bucket, "mail", "9");
    deliveries.ended("mail", "9", Outcome::Delivered, 2_000);
    assert_eq!(deliveries.failures("mail"), 1);
    deliver(&mut bucket, "ops", "8");
    deliveries.ended("ops", "8", Outcome::Delivered, 2_000);
    deliveries.next(&bucket, 2_000);
    assert!(deliveries.next(&bucket, 59_999).is_empty());
    deliveries.retry_all();
    assert_eq!(deliveries.next(&bucket, 59_999), [pair("ops", "9")]);
}
