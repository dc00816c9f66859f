//! What has changed, and who is notified of it.

use std::collections::{BTreeSet, HashSet};

use tidemap_wire::{Alert, AlertChange, AlertState, AlertTarget};

use super::{
    Ending, Engine,
    episode::{Due, Episode, Notified},
    holding::Calm,
    standing::{AlertStanding, Hold, Transition},
};
use crate::rules::{NoticeGroup, Rule};

/// A change that has not been said yet.
#[derive(Clone, Debug)]
pub(super) struct Change {
    target: u32,
    rule: u32,
    since_ms: i64,
    at_ms: i64,
    change: AlertChange,
    alert: Alert,
    /// Of an end: whether people were notified of the firing.
    was_notified: bool,
    ending: Option<Ending>,
}

impl Change {
    /// Whether it is between this target and rule.
    pub(super) fn is_of(&self, target: u32, rule: u32) -> bool {
        (self.target, self.rule) == (target, rule)
    }
}

/// Whether an alert fires of which people are not notified yet.
pub(super) fn is_waiting(episode: &Episode) -> bool {
    episode.fired_ms.is_some() && episode.notified == Notified::NotYet
}

/// Which changes of a rule belong into one notice.
pub(super) fn group_of(rule: Option<&Rule>, about: &AlertTarget) -> String {
    match rule.map(|rule| &rule.grouping) {
        Some(NoticeGroup::By(key)) => {
            about.labels.get(key.label()).map_or_else(|| key.id(""), |value| key.id(value))
        }
        Some(NoticeGroup::Rule) => String::new(),
        Some(NoticeGroup::Alone) | None => about.id.clone(),
    }
}

impl Engine {
    /// What has changed up to a moment, in the order in which it happened.
    pub fn judge(&mut self, now_ms: i64) -> Vec<Transition> {
        let mut repeats = BTreeSet::new();
        while let Some((at_ms, place)) = self.due.first().copied().filter(|(at_ms, _)| *at_ms <= now_ms) {
            self.due.remove(&(at_ms, place));
            let Some(target) = self.targets[place as usize].as_mut() else { continue };
            target.due_ms = None;
            self.settle(place, now_ms);
            match self.repeats(place, now_ms) {
                none if none.is_empty() => self.schedule(place),
                due => repeats.extend(due),
            }
        }
        if self.is_complete {
            for group in std::mem::take(&mut self.changed_groups) {
                self.read_group(group, now_ms);
            }
        }
        let mut said = std::mem::take(&mut self.ready);
        self.say_changes(now_ms, &mut said);
        self.say_waiting(now_ms, &mut said);
        self.say_repeats(now_ms, &repeats, &mut said);
        for (place, _) in repeats {
            self.schedule_after(place, now_ms);
        }
        said
    }

    /// Lets happen what is due at a target by then.
    pub(super) fn settle(&mut self, place: u32, until_ms: i64) {
        loop {
            let Some(target) = self.targets[place as usize].as_mut() else { return };
            if target.entries.is_empty() {
                return;
            }
            let Some((rule_place, at_ms, due)) = target.take_due(&self.rules, until_ms) else { return };
            let rule = &self.rules.rules[rule_place as usize];
            match due {
                Due::Fire => {
                    let Some(entry) = target.entry_mut(rule_place) else { return };
                    let Some(episode) = &mut entry.episode else { return };
                    episode.fired_ms = Some(at_ms);
                    episode.notified_ms = at_ms;
                    let episode = episode.clone();
                    let change = Change {
                        target: place,
                        rule: rule_place,
                        since_ms: episode.since_ms,
                        at_ms,
                        change: AlertChange::Fired,
                        alert: target.alert(rule, &episode, AlertState::Firing),
                        was_notified: false,
                        ending: None,
                    };
                    self.changes.push(change);
                    self.timers_version += 1;
                }
                Due::Resolve => self.end_entry(place, rule_place, at_ms, Ending::Cleared),
                Due::Repeat => return,
            }
        }
    }

    /// The rules of a target whose alerts people should be notified of again.
    fn repeats(&self, place: u32, now_ms: i64) -> Vec<(u32, u32)> {
        let Some(target) = &self.targets[place as usize] else { return Vec::new() };
        let is_due = |rule: u32, episode: &Episode| {
            let due = episode.due(&self.rules.rules[rule as usize]);
            due.is_some_and(|(at_ms, due)| due == Due::Repeat && at_ms <= now_ms)
        };
        let entries = target.entries.iter();
        let those =
            entries.filter(|entry| entry.episode.as_ref().is_some_and(|episode| is_due(entry.rule, episode)));
        those.map(|entry| (place, entry.rule)).collect()
    }

    /// Notes when a target has to be looked at again.
    pub(super) fn schedule(&mut self, place: u32) {
        self.schedule_after(place, i64::MIN);
    }

    /// Likewise, but later than a moment: a repeat that is held back stays due.
    fn schedule_after(&mut self, place: u32, after_ms: i64) {
        let Some(target) = self.targets[place as usize].as_mut() else { return };
        if target.entries.is_empty() && target.due_ms.is_none() {
            return;
        }
        let due_ms = target.next_due(&self.rules).map(|due_ms| due_ms.max(after_ms.saturating_add(1)));
        if due_ms == target.due_ms {
            return;
        }
        if let Some(before_ms) = std::mem::replace(&mut target.due_ms, due_ms) {
            self.due.remove(&(before_ms, place));
        }
        if let Some(due_ms) = due_ms {
            self.due.insert((due_ms, place));
        }
    }

    /// Ends all that goes on at a target that no longer exists.
    pub(super) fn end(&mut self, place: u32, now_ms: i64, ending: Ending) {
        let Some(target) = self.targets[place as usize].as_mut() else { return };
        target.is_gone = true;
        let rules: Vec<u32> = target.entries.iter().map(|entry| entry.rule).collect();
        for rule in rules {
            self.end_entry(place, rule, now_ms, ending);
        }
        self.schedule(place);
        self.free(place);
    }

    /// Ends an episode.
    pub(super) fn end_entry(&mut self, place: u32, rule_place: u32, at_ms: i64, ending: Ending) {
        let Some(target) = self.targets[place as usize].as_mut() else { return };
        let Some(episode) = target.entry_mut(rule_place).and_then(|entry| entry.episode.take()) else {
            return;
        };
        self.active[rule_place as usize] -= 1;
        self.timers_version += 1;
        if episode.fired_ms.is_some() {
            let rule = &self.rules.rules[rule_place as usize];
            let mut alert = target.alert(rule, &episode, AlertState::Resolved);
            alert.resolved_ms = Some(at_ms);
            ending.note(&mut alert);
            self.changes.push(Change {
                target: place,
                rule: rule_place,
                since_ms: episode.since_ms,
                at_ms,
                change: AlertChange::Resolved,
                alert,
                was_notified: episode.notified == Notified::Yes,
                ending: Some(ending),
            });
        }
        target.drop_empty();
    }

    /// Gives the place of a target back where nothing is left to be said.
    fn free(&mut self, place: u32) {
        let is_changing = self.changes.iter().any(|change| change.target == place);
        let Some(target) = self.targets[place as usize].as_ref() else { return };
        if !target.is_gone || !target.entries.is_empty() || is_changing {
            return;
        }
        if let Some(due_ms) = target.due_ms {
            self.due.remove(&(due_ms, place));
        }
        self.changed_groups.remove(&place);
        self.targets[place as usize] = None;
        self.free.push(place);
    }

    /// Says what happened.
    fn say_changes(&mut self, now_ms: i64, said: &mut Vec<Transition>) {
        if self.changes.is_empty() {
            return;
        }
        let mut changes = std::mem::take(&mut self.changes);
        changes.sort_by_key(|change| change.at_ms);
        let calm = self.calm(now_ms);
        let mut notified_now: HashSet<(u32, u32, i64)> = HashSet::new();
        for change in &changes {
            let key = (change.target, change.rule, change.since_ms);
            let (notify, held) = match change.change {
                AlertChange::Resolved => self.say_end(change, notified_now.contains(&key), &calm),
                _ => {
                    let held = self.held(change.target, change.rule, change.since_ms, &calm);
                    self.mark(change, held, now_ms, &calm);
                    if held.is_none() {
                        notified_now.insert(key);
                    }
                    (held.is_none(), held)
                }
            };
            let target = self.targets[change.target as usize].as_ref();
            let rule = &self.rules.rules[change.rule as usize];
            let mut alert = change.alert.clone();
            alert.silenced_until_ms = self.silenced_until(&alert).filter(|until_ms| *until_ms > now_ms);
            said.push(Transition {
                change: change.change,
                is_new: true,
                notify,
                held,
                ending: change.ending,
                group: group_of(Some(rule), &alert.target),
                standing: target
                    .and_then(|target| AlertStanding::of(target.entry(change.rule)?, target, rule)),
                alert,
            });
        }
        for change in changes {
            self.free(change.target);
        }
    }

    /// Notes whether people are notified of a firing that goes on.
    fn mark(&mut self, change: &Change, held: Option<Hold>, now_ms: i64, calm: &Calm) {
        let rule = &self.rules.rules[change.rule as usize];
        let is_dropped = held == Some(Hold::Quiet) && self.is_quiet(rule, calm) == Some(true);
        let Some(target) = self.targets[change.target as usize].as_mut() else { return };
        let entry = target.entry_mut(change.rule);
        let episode =
            entry.and_then(|entry| entry.episode.as_mut()).filter(|one| one.since_ms == change.since_ms);
        let Some(episode) = episode else { return };
        match held {
            None => {
                episode.notified = Notified::Yes;
                episode.notified_ms = now_ms;
            }
            Some(_) if is_dropped => episode.notified = Notified::Never,
            Some(_) => {
                self.waiting.insert((change.target, change.rule));
            }
        }
        self.schedule(change.target);
    }

    /// Says that an alert is over to those who know that it fired; in quiet hours, when they end.
    fn say_end(&mut self, change: &Change, was_notified_now: bool, calm: &Calm) -> (bool, Option<Hold>) {
        if !change.was_notified && !was_notified_now {
            return (false, None);
        }
        let rule = &self.rules.rules[change.rule as usize];
        if self.is_quiet(rule, calm).is_none() {
            return (true, None);
        }
        if let Some(target) = self.targets[change.target as usize].as_mut() {
            target.made_entry(change.rule).untold = Some(change.alert.clone());
            self.waiting.insert((change.target, change.rule));
        }
        (false, Some(Hold::Quiet))
    }

    /// Says what was held back and no longer is.
    fn say_waiting(&mut self, now_ms: i64, said: &mut Vec<Transition>) {
        if self.waiting.is_empty() {
            return;
        }
        let calm = self.calm(now_ms);
        for (place, rule_place) in self.waiting.clone() {
            let rule = &self.rules.rules[rule_place as usize];
            let is_quiet = self.is_quiet(rule, &calm).is_some();
            let untold =
                self.targets[place as usize].as_mut().and_then(|target| target.entry_mut(rule_place));
            let untold = untold.filter(|_| !is_quiet).and_then(|entry| entry.untold.take());
            let Some(target) = self.targets[place as usize].as_ref() else {
                self.waiting.remove(&(place, rule_place));
                continue;
            };
            let entry = target.entry(rule_place);
            let episode = entry.and_then(|entry| entry.episode.as_ref()).filter(|one| is_waiting(one));
            let held = episode.and_then(|one| self.held(place, rule_place, one.since_ms, &calm));
            // Thousands may be held back for a night, so the alert is made only of those that are not.
            let firing = episode.filter(|_| held.is_none());
            let firing = firing.map(|episode| target.alert(rule, episode, AlertState::Firing));
            let is_left = entry.is_some_and(|entry| entry.untold.is_some()) || held.is_some();
            if let Some(alert) = untold {
                said.push(self.late(AlertChange::Resolved, place, rule_place, alert));
            }
            if let Some(alert) = firing {
                let target = self.targets[place as usize].as_mut();
                if let Some(episode) =
                    target.and_then(|target| target.entry_mut(rule_place)?.episode.as_mut())
                {
                    episode.notified = Notified::Yes;
                    episode.notified_ms = now_ms;
                }
                said.push(self.late(AlertChange::Fired, place, rule_place, alert));
                self.schedule(place);
            }
            if !is_left {
                self.waiting.remove(&(place, rule_place));
            }
            if let Some(target) = self.targets[place as usize].as_mut() {
                target.drop_empty();
            }
            self.free(place);
        }
    }

    fn say_repeats(&mut self, now_ms: i64, repeats: &BTreeSet<(u32, u32)>, said: &mut Vec<Transition>) {
        if repeats.is_empty() {
            return;
        }
        let calm = self.calm(now_ms);
        for (place, rule_place) in repeats {
            let Some(target) = self.targets[*place as usize].as_ref() else { continue };
            let rule = &self.rules.rules[*rule_place as usize];
            let episode = target.entry(*rule_place).and_then(|entry| entry.episode.as_ref());
            let Some(episode) = episode else { continue };
            if self.held(*place, *rule_place, episode.since_ms, &calm).is_some() {
                continue;
            }
            let alert = target.alert(rule, episode, AlertState::Firing);
            let target = self.targets[*place as usize].as_mut();
            if let Some(episode) = target.and_then(|target| target.entry_mut(*rule_place)?.episode.as_mut()) {
                episode.repeats = episode.repeats.saturating_add(1);
                episode.notified_ms = now_ms;
            }
            said.push(self.late(AlertChange::Repeated, *place, *rule_place, alert));
        }
    }

    /// A notice of something that did not happen just now.
    fn late(&self, change: AlertChange, place: u32, rule_place: u32, alert: Alert) -> Transition {
        let rule = &self.rules.rules[rule_place as usize];
        let target = self.targets[place as usize].as_ref();
        Transition {
            change,
            is_new: false,
            notify: true,
            held: None,
            ending: (change == AlertChange::Resolved).then_some(Ending::Cleared),
            group: group_of(Some(rule), &alert.target),
            alert,
            standing: target.and_then(|target| AlertStanding::of(target.entry(rule_place)?, target, rule)),
        }
    }
}
