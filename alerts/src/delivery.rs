//! Which notice is sent next on which channel, and when one that failed is sent again. Pure.
//!
//! A channel gets its notices one after the other, in order. One that cannot be reached is tried again after
//! a wait that grows, and its notices wait with it; a notice that it refuses holds up no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidemap_client::{AlertBucket, ChannelCounts, NoticeRecord};
use tidemap_service::clock::whole_ms;

/// How an attempt to send a notice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The channel has it.
    Delivered,
    /// The channel cannot be reached: again after this.
    Failed(Duration),
    /// The channel does not want it: again after this.
    Refused(Duration),
    /// There is no such channel any more.
    Gone,
}

/// What becomes of notices, by channel.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// Channels that are being sent a notice.
    busy: BTreeSet<String>,
    /// Channels that cannot be reached: the failures in a row, and until when they are left alone.
    resting: BTreeMap<String, (u32, u64)>,
    /// Notices that a channel has refused: until when they are left alone.
    refused: BTreeMap<(String, String), u64>,
    /// Notices that a channel has, of which the bucket may not know it yet.
    delivered: BTreeSet<(String, String)>,
    counts: BTreeMap<String, ChannelCounts>,
}

impl Deliveries {
    /// What to send now: at most one notice for each channel, as the channel's name and the notice's id.
    /// Each must be followed by [`Deliveries::ended`].
    pub(crate) fn next(&mut self, bucket: &AlertBucket, now_ms: u64) -> Vec<(String, String)> {
        let mut oldest: BTreeMap<&str, (i64, u64, &str)> = BTreeMap::new();
        for (id, stored) in &bucket.notices {
            for channel in &stored.value.undelivered {
                let is_resting = self.resting.get(channel).is_some_and(|(_, until_ms)| *until_ms > now_ms);
                let refused = || self.refused.get(&(channel.clone(), id.clone()));
                if !self.delivered.is_empty() && self.delivered.contains(&(channel.clone(), id.clone())) {
                    continue;
                }
                if self.busy.contains(channel) || is_resting || refused().is_some_and(|until| *until > now_ms)
                {
                    continue;
                }
                let place = (stored.value.notice.at_ms, stored.revision, id.as_str());
                let first = oldest.entry(channel).or_insert(place);
                *first = place.min(*first);
            }
        }
        let next: Vec<(String, String)> =
            oldest.into_iter().map(|(channel, (.., id))| (channel.to_owned(), id.to_owned())).collect();
        self.busy.extend(next.iter().map(|(channel, _)| channel.clone()));
        next
    }

    /// The failures of a channel in a row, with one that has just happened.
    pub(crate) fn failures(&self, channel: &str) -> u32 {
        self.resting.get(channel).map_or(0, |(failures, _)| *failures) + 1
    }

    /// Notes how an attempt ended.
    pub(crate) fn ended(&mut self, channel: &str, id: &str, outcome: Outcome, now_ms: u64) {
        self.busy.remove(channel);
        let failures = self.failures(channel);
        let counts = self.counts.entry(channel.to_owned()).or_default();
        match outcome {
            Outcome::Delivered => {
                counts.sent += 1;
                self.resting.remove(channel);
                self.refused.remove(&(channel.to_owned(), id.to_owned()));
                self.delivered.insert((channel.to_owned(), id.to_owned()));
            }
            Outcome::Failed(wait) => {
                counts.failed += 1;
                self.resting.insert(channel.to_owned(), (failures, now_ms + whole_ms(wait)));
            }
            Outcome::Refused(wait) => {
                counts.failed += 1;
                self.refused.insert((channel.to_owned(), id.to_owned()), now_ms + whole_ms(wait));
            }
            Outcome::Gone => {}
        }
    }

    /// What channels have, and the bucket does not say: it is to be marked there, and not sent again.
    pub(crate) fn unmarked(&mut self, bucket: &AlertBucket) -> Vec<(String, String)> {
        self.delivered.retain(|(channel, id)| {
            bucket.notices.get(id).is_some_and(|stored| stored.value.undelivered.contains(channel))
        });
        self.delivered.iter().cloned().collect()
    }

    /// Counts a notice that was given up.
    pub(crate) fn dropped(&mut self, channel: &str, id: &str) {
        self.counts.entry(channel.to_owned()).or_default().dropped += 1;
        self.refused.remove(&(channel.to_owned(), id.to_owned()));
    }

    /// Notes that all attempts were ended from outside.
    pub(crate) fn stopped(&mut self) {
        self.busy.clear();
    }

    /// Tries everything again, because the channels are declared in another way now.
    pub(crate) fn retry_all(&mut self) {
        self.resting.clear();
        self.refused.clear();
    }

    /// What became of notices, without those for programs.
    pub(crate) fn counts(&self) -> BTreeMap<String, ChannelCounts> {
        let counts = self.counts.iter().filter(|(channel, _)| channel.as_str() != NoticeRecord::PROGRAMS);
        counts.map(|(channel, counts)| (channel.clone(), *counts)).collect()
    }
}

#[cfg(test)]
mod tests;
