//! Times on which several processes rely, with the relations that must hold between them.
//!
//! Each process measures its own time, so nothing at run time would notice that two of these no longer fit
//! together. A change that breaks a relation does not compile.

use std::time::Duration;

/// Owners publish deltas at each multiple of this on the wall clock, and readers tick at the same multiples.
pub const TICK: Duration = Duration::from_millis(250);
/// How long after the owners' tick a reader ticks: the owners' messages have arrived by then, also on a busy
/// machine. One that arrives later waits for a whole tick.
pub const READER_OFFSET: Duration = Duration::from_millis(70);
/// An owner publishes its statistics once in this many ticks, and so shows that it is alive.
pub const TICKS_PER_STATS: u64 = 4;
/// Readers treat an owner that has been silent for this long as gone.
pub const OWNER_SILENCE: Duration = Duration::from_secs(3);
/// A reader's event stream sends something at least this often. Less than the time between an owner's
/// statistics, so that a tick that comes early still counts.
pub const STREAM_SILENCE: Duration = Duration::from_millis(900);

/// The longest that an agent or a worker waits between two attempts to reach its broker.
pub const RECONNECT: Duration = Duration::from_secs(10);
/// The jitter added to that wait.
pub const RECONNECT_SPREAD: Duration = Duration::from_millis(100);

/// An agent sends a report again that was not acknowledged for this long.
pub const AGENT_ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// A relay refuses the reports of a pack that was not acknowledged for this long. It must be shorter than the
/// agents' own timeout, or agents would resend reports that the relay still has in flight.
pub const RELAY_ACK_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a relay gathers reports before it publishes them as a pack.
pub const PACK_LINGER: Duration = Duration::from_millis(75);

/// A broker that crashes may lose what it acknowledged within this time (`sync_interval` in `nats.conf`).
pub const BROKER_SYNC: Duration = Duration::from_secs(5);
/// When a broker is replaced, agents and relays publish again what the old one acknowledged within this time
/// before.
pub const RESEND: Duration = Duration::from_secs(10);

/// An agent whose host's clock was set back by up to this waits with the times of its samples for the clock.
/// By more, and the times step back.
pub const CLOCK_WAIT: Duration = Duration::from_secs(45);
/// Where a node's times step back by more than this, a worker starts its windows over.
pub const CLOCK_RESET: Duration = Duration::from_secs(40);

/// Within this time a worker that has lost its broker shows by a heartbeat that it still runs.
pub const WORKER_RETURN: Duration = Duration::from_secs(14);

/// How long the broker's log keeps reports.
pub const LOG_RETENTION: Duration = Duration::from_secs(600);

/// Workers write heartbeats and renew their leases this often.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(1);
/// The timeout of one such write. After it, the next write is more useful than a retry.
pub const LEASE_WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// An owner whose lease was not renewed for this long publishes nothing: another worker may be about to take
/// over.
pub const LEASE_FREEZE: Duration = Duration::from_secs(3);
/// Another worker takes over a lease that has not changed for this long.
pub const LEASE_TAKEOVER: Duration = Duration::from_secs(5);
/// When the broker has lost all leases, a partition waits this long for the worker that had it.
pub const LEASE_RESERVATION: Duration = Duration::from_secs(20);
/// Heartbeats that a worker must have written itself before it concludes that another is dead.
pub const HEARTBEATS_BEFORE_TAKEOVER: u64 = 3;

/// Whole milliseconds, for clocks that count in them.
pub const fn millis(duration: Duration) -> u64 {
    // No time of this file comes near 2⁶⁴ milliseconds.
    duration.as_secs() * 1_000 + duration.subsec_millis() as u64
}

/// The relations. Each comment states what would go wrong without it, or what the relation ensures.
const _: () = {
    // A reader that ticked at the owners' next tick would always be one behind.
    assert!(millis(READER_OFFSET) < millis(TICK));
    // A single lost statistics message does not make an owner appear silent.
    assert!(2 * TICKS_PER_STATS * millis(TICK) < millis(OWNER_SILENCE));
    assert!(millis(STREAM_SILENCE) < TICKS_PER_STATS * millis(TICK));
    assert!(millis(STREAM_SILENCE) > (TICKS_PER_STATS - 1) * millis(TICK));

    // A relay's refusal arrives before the agent's own timeout.
    assert!(millis(PACK_LINGER) + millis(RELAY_ACK_TIMEOUT) < millis(AGENT_ACK_TIMEOUT));
    // Twice what a crash may lose.
    assert!(millis(RESEND) >= 2 * millis(BROKER_SYNC));

    // Windows that end in the future show no new sample until then, so no agent's step may be too short for a
    // reset. Beside the step, a second passes between two samples.
    assert!(millis(CLOCK_RESET) + 1_000 < millis(CLOCK_WAIT));

    // A renewal that fails leaves time for another before the owner falls silent.
    assert!(millis(LEASE_WRITE_TIMEOUT) < millis(LEASE_FREEZE));
    assert!(2 * millis(LEASE_RENEWAL) < millis(LEASE_FREEZE));
    // The old owner is silent for longer than a renewal before the new one speaks.
    assert!(millis(LEASE_FREEZE) + millis(LEASE_RENEWAL) < millis(LEASE_TAKEOVER));
    assert!(HEARTBEATS_BEFORE_TAKEOVER * millis(LEASE_RENEWAL) < millis(LEASE_TAKEOVER));
    // A worker reconnects at its next attempt, at its next turn writes its heartbeat, and the write may take
    // its time.
    assert!(
        millis(RECONNECT) + millis(RECONNECT_SPREAD) + millis(LEASE_RENEWAL) + millis(LEASE_WRITE_TIMEOUT)
            < millis(WORKER_RETURN)
    );
    // The worker that had a partition is back before its reservation ends, even on a busy machine: it
    // reconnects, reads the bucket, and writes its lease.
    assert!(
        millis(RECONNECT) + millis(RECONNECT_SPREAD) + 4 * millis(LEASE_WRITE_TIMEOUT)
            < millis(LEASE_RESERVATION)
    );
};
