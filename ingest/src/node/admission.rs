//! Which of an agent's runs is the current one, and whose clock is that of the rows.

use tidemap_wire::{Sample, bounds};

use super::{Arrival, Node, Observed, clocks, jumps::Stretch};
use crate::{
    agent_run::Run,
    minutes::{Added, Source, label},
    window::minute_of,
};

impl Node {
    /// Returns whether a sample of another run than the current one may be applied, and makes its run known;
    /// `false` for a second agent.
    ///
    /// A run that began after the current one is a restart and becomes current. One that began before is an
    /// old run with late samples, unless it has samples from after the current run's beginning: then two
    /// agents use one name, and the newer one keeps it as long as it reports.
    pub(super) fn admit(
        &mut self,
        boot: u64,
        sample: &Sample,
        arrival: Arrival,
        outcome: &mut Observed,
    ) -> bool {
        let Arrival { newest_at_ms, published_ms } = arrival;
        let earlier = self.past.as_ref().map_or(&[][..], |past| &past.earlier);
        let known = earlier.iter().position(|run| run.boot == boot);
        let after = sample.at_ms >= self.current.first_at_ms;
        let current_is_silent = self.is_current_silent(published_ms);
        if known.is_some_and(|place| earlier[place].has_seen(sample.seq)) {
            // A repeated sample neither makes an old run current nor proves that there is a second agent.
            return true;
        }
        let becomes_current = current_is_silent || (after && known.is_none());
        if !becomes_current && after {
            return false;
        }
        let run =
            known.map_or_else(|| Run::new(boot, sample.at_ms), |place| self.past_mut().earlier.remove(place));
        let older = if becomes_current {
            self.past_mut().other = self.who();
            outcome.restarted |= self.past_mut().conduct.admits_restart(published_ms);
            let counted = [self.current.rx_bytes, self.current.tx_bytes];
            outcome.history_lost += self.minutes.end_run(&self.windows, self.current_source(), counted);
            if known.is_none() {
                // Only what is live tells the time.
                self.set_clock(boot, clocks::offset(newest_at_ms, published_ms));
            }
            std::mem::replace(&mut self.current, run)
        } else {
            run
        };
        self.past_mut().remember(older);
        true
    }

    /// Closes the minutes of a clock that the current run's newest sample ends: it was put back, or the run
    /// has another one. `before` is the number of the run's newest sample before, and what it had counted
    /// then. Returns what of the history is given up.
    pub(super) fn keep_time(&mut self, sample: &Sample, arrival: Arrival, before: (u64, [u64; 2])) -> u64 {
        let ended = self.current_source();
        let is_put_back = self.windows.is_beyond(sample.at_ms);
        let has_other_clock = clocks::is_ahead(sample.at_ms, arrival.published_ms, ended.offset)
            || clocks::is_behind(sample.at_ms, arrival.published_ms, ended.offset)
            || clocks::is_right_again(sample.at_ms, arrival.published_ms, ended.offset);
        if is_put_back || has_other_clock {
            self.set_clock(self.current.boot, clocks::offset(sample.at_ms, arrival.published_ms));
        }
        let now = self.current_source();
        let mut lost = 0;
        if before.0 > 0 && (is_put_back || now.offset != ended.offset) {
            lost += self.minutes.end_run(&self.windows, ended, before.1);
            let since = label(minute_of(sample.at_ms), now.offset);
            let boot = self.current.boot;
            self.past_mut().jumps.end(boot, before, ended.offset, since);
        }
        if is_put_back || self.minutes.open_offset().is_some_and(|open| open != now.offset) {
            lost += self.minutes.close(&self.windows, ended);
        }
        lost
    }

    /// Keeps a sample that came too late for its row, unless there are too many. Returns how much is given
    /// up.
    pub(super) fn keep_late(&mut self, (added, lost): (Added, u64), published_ms: i64) -> u64 {
        lost + match added {
            Added::InRow => 0,
            Added::Late(late) if self.past_mut().conduct.admits_late(published_ms) => {
                self.minutes.add_late(late)
            }
            Added::Late(_) | Added::Unknown => 1,
        }
    }

    /// Whether a sample may be of a run that is no longer remembered, so that nobody knows whether it was
    /// applied.
    pub(super) fn may_be_forgotten(&self, boot: u64, sample: &Sample, published_ms: i64) -> bool {
        let is_before_all = self.past.as_ref().is_some_and(|past| past.is_before_all(boot, sample.at_ms));
        is_before_all && !self.is_current_silent(published_ms)
    }

    pub(super) fn set_clock(&mut self, boot: u64, offset: i32) {
        if offset != 0 || self.past.is_some() {
            self.past_mut().clocks.set(boot, offset);
        }
    }

    pub(super) fn current_source(&self) -> Source {
        let boot = self.current.boot;
        // The present part of a run is always known.
        let part = self.part(boot, u64::MAX).unwrap_or_else(|| Stretch::whole(boot));
        self.source(boot, part, self.current.first_at_ms)
    }

    /// The part of a run that a sample is of; none if it is no longer known.
    pub(super) fn part(&self, boot: u64, seq: u64) -> Option<Stretch> {
        self.past.as_ref().map_or_else(|| Some(Stretch::whole(boot)), |past| past.jumps.part(boot, seq))
    }

    /// What the history takes a part of a run for.
    pub(super) fn source(&self, boot: u64, part: Stretch, first_at_ms: i64) -> Source {
        let present = self.past.as_ref().map_or(0, |past| past.clocks.offset(boot));
        let offset = part.offset.unwrap_or(present);
        let first = part.since.unwrap_or_else(|| label(minute_of(first_at_ms), offset));
        // Nobody knows when a run began whose host had no time: as late as it is heard of.
        let since = if first < bounds::FIRST_MINUTE { u32::MAX } else { first };
        let is_current = boot == self.current.boot && part.offset.is_none();
        Source { boot: part.name, base: part.base, since, offset, is_current, is_newest: false }
    }
}
