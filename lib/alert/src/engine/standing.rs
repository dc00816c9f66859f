//! What the engine says, and what is kept of it through a restart.

use serde::{Deserialize, Serialize};
use tidemap_wire::{Alert, AlertChange, AlertState};

use super::{
    episode::{Episode, Notified},
    target::{Entry, Target},
};
use crate::rules::Rule;

/// A change of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// What happened.
    pub change: AlertChange,
    /// Whether it happened now. Otherwise people are notified now of what happened before, or again.
    pub is_new: bool,
    /// Whether people are to be notified: once of a firing and once of its end, unless it was held back for
    /// its whole length, and of repeats.
    pub notify: bool,
    /// Why people are not notified.
    pub held: Option<Hold>,
    /// How it ended, if it did.
    pub ending: Option<Ending>,
    /// The alert after the change. `fired_ms` and `resolved_ms` are moments of what was observed, so they do
    /// not depend on when it was judged.
    pub alert: Alert,
    /// Changes of one rule and moment with equal groups belong into one notice: `location=Berlin`.
    pub group: String,
    /// What must be kept of this rule and target; `None` when nothing goes on.
    pub standing: Option<AlertStanding>,
}

/// Why people are not notified of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Somebody silenced it.
    Silence,
    /// Its target is in maintenance.
    Maintenance,
    /// These are quiet hours.
    Quiet,
    /// Another alert explains it.
    DependsOn,
}

/// How an alert ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its condition is over.
    Cleared,
    /// Its target no longer exists.
    Forgotten,
    /// The billing cycle is over in which its condition held.
    CycleOver,
    /// Its rule no longer exists, measures something else, or is no longer about the target.
    RuleGone,
}

impl Ending {
    /// Why it ended, for people; nothing where that goes without saying.
    pub(super) fn why(self) -> Option<&'static str> {
        match self {
            Self::Cleared => None,
            Self::Forgotten => Some("it no longer exists"),
            Self::CycleOver => Some("a new cycle has begun"),
            Self::RuleGone => Some("no rule is about it any more"),
        }
    }

    /// Notes why it ended in what an alert says.
    pub(super) fn note(self, alert: &mut Alert) {
        if let Some(why) = self.why() {
            alert.summary = format!("{} · {why}", alert.summary);
        }
    }
}

/// What is kept of a rule and a target through a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertStanding {
    /// The alert as it stands. Its state is `Resolved` where only a notice of its end is left to be sent.
    pub alert: Alert,
    /// From when `for` counts.
    #[serde(default)]
    held_from_ms: Option<i64>,
    /// When it was first known.
    #[serde(default)]
    seen_ms: Option<i64>,
    /// Since when its condition is over, while it fires on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clear_ms: Option<i64>,
    /// Since when nobody could say whether it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen_ms: Option<i64>,
    /// Whether that is because the evaluator before has ended, and this one has not observed the target yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_handover: bool,
    /// Whether people were notified of it.
    #[serde(default)]
    is_notified: bool,
    /// Whether they will never be.
    #[serde(default)]
    is_dropped: bool,
    /// How often they were notified again.
    #[serde(default)]
    repeats: u32,
    /// When they were last notified.
    #[serde(default)]
    notified_ms: Option<i64>,
    /// An alert that ended before, of which people are to be notified when quiet hours end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    untold: Option<Box<Alert>>,
}

/// Since when the condition of an alert is over that fires on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClearSince {
    /// That: Unix milliseconds.
    pub clear_ms: i64,
    /// Since when nobody could say whether it still is, likewise.
    pub frozen_ms: Option<i64>,
    /// Whether nobody could because the evaluator before had ended.
    pub is_handover: bool,
}

impl AlertStanding {
    /// Since when its condition is over, while it fires on.
    pub fn clear(&self) -> Option<ClearSince> {
        let Self { frozen_ms, is_handover, .. } = *self;
        self.clear_ms.map(|clear_ms| ClearSince { clear_ms, frozen_ms, is_handover })
    }

    /// The same with what is known later of whether its condition is over.
    #[must_use]
    pub fn with_clear(mut self, clear: Option<ClearSince>) -> Self {
        self.clear_ms = clear.map(|clear| clear.clear_ms);
        if let Some(clear) = clear {
            (self.frozen_ms, self.is_handover) = (clear.frozen_ms, clear.is_handover);
        }
        self
    }

    /// Whether people were notified that it fires.
    pub fn is_notified(&self) -> bool {
        self.is_notified
    }

    pub(super) fn of(entry: &Entry, target: &Target, rule: &Rule) -> Option<Self> {
        let Some(episode) = &entry.episode else {
            return entry.untold.as_ref().map(|alert| Self::bare(alert.clone()));
        };
        let state = if episode.fired_ms.is_some() { AlertState::Firing } else { AlertState::Pending };
        Some(Self {
            held_from_ms: Some(episode.held_from_ms),
            seen_ms: Some(episode.seen_ms),
            clear_ms: episode.clear_ms,
            frozen_ms: episode.frozen_ms,
            is_handover: episode.frozen_ms.is_some() && episode.is_restored,
            is_notified: episode.notified == Notified::Yes,
            is_dropped: episode.notified == Notified::Never,
            repeats: episode.repeats,
            notified_ms: Some(episode.notified_ms),
            untold: entry.untold.clone().map(Box::new),
            ..Self::bare(target.alert(rule, episode, state))
        })
    }

    /// What an alert alone says.
    fn bare(alert: Alert) -> Self {
        Self {
            held_from_ms: None,
            seen_ms: None,
            clear_ms: None,
            frozen_ms: None,
            is_handover: false,
            is_notified: false,
            is_dropped: false,
            repeats: 0,
            notified_ms: None,
            untold: None,
            alert,
        }
    }

    /// The entry that it was; frozen since the evaluator before was last alive.
    pub(super) fn entry(&self, rule: u32, judged_ms: i64) -> Entry {
        let alert = &self.alert;
        if alert.state == AlertState::Resolved {
            return Entry { rule, episode: None, untold: Some(alert.clone()) };
        }
        let first_ms = alert.fired_ms.unwrap_or(alert.since_ms);
        let notified = match (self.is_notified, self.is_dropped) {
            (true, _) => Notified::Yes,
            (false, true) => Notified::Never,
            (false, false) => Notified::NotYet,
        };
        let episode = Episode {
            since_ms: alert.since_ms,
            held_from_ms: self.held_from_ms.unwrap_or(alert.since_ms),
            seen_ms: self.seen_ms.unwrap_or(first_ms),
            fired_ms: alert.fired_ms,
            clear_ms: self.clear_ms,
            frozen_ms: Some(self.frozen_ms.unwrap_or(judged_ms)),
            is_restored: self.frozen_ms.is_none() || self.is_handover,
            value: alert.value,
            peak: alert.peak,
            notified,
            repeats: self.repeats,
            notified_ms: self.notified_ms.unwrap_or(first_ms),
        };
        Entry { rule, episode: Some(episode), untold: self.untold.as_deref().cloned() }
    }
}

impl From<Alert> for AlertStanding {
    /// An alert of which people were notified, if it fires.
    fn from(alert: Alert) -> Self {
        Self { is_notified: alert.fired_ms.is_some(), ..Self::bare(alert) }
    }
}
