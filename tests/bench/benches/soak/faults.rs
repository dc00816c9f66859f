//! Random faults, determined by a seed.

use std::{fmt, ops::RangeInclusive, time::Duration};

use tidemap_e2e::scenario::Scenario;
use tidemap_testkit::{broker::TestBroker, proxy::Proxy};
use tokio::time::sleep;

/// No fault lasts longer than this.
pub(crate) const LONGEST: Duration = Duration::from_secs(12);

/// The next fault.
pub(crate) struct Faults {
    random: fastrand::Rng,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    WorkerKilled,
    WorkerFrozen(Duration),
    BrokerKilled(Duration),
    ApiKilled,
    NetworkCut(Duration),
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed) }
    }

    /// A random number.
    pub(crate) fn chance(&mut self, from: RangeInclusive<u64>) -> u64 {
        self.random.u64(from)
    }

    /// Causes the next fault, and ends it.
    pub(crate) async fn next(
        &mut self,
        scenario: &mut Scenario,
        broker: &mut TestBroker,
        proxy: &Proxy,
    ) -> anyhow::Result<Fault> {
        let lasting = Duration::from_secs(self.random.u64(1..=LONGEST.as_secs()));
        // Never the last one, which is behind the network and must stay for faults of the network.
        let victim = self.random.usize(..scenario.workers.len() - 1);
        let fault = match self.random.u8(..8) {
            0 | 1 => {
                scenario.workers.remove(victim).kill().await?;
                scenario.add_worker()?;
                let last = scenario.workers.len() - 1;
                scenario.workers.swap(last - 1, last);
                Fault::WorkerKilled
            }
            2 | 3 => {
                scenario.workers[victim].freeze()?;
                sleep(lasting).await;
                scenario.workers[victim].thaw()?;
                Fault::WorkerFrozen(lasting)
            }
            // Rarely, so that the API lives long enough for its memory to be judged.
            4 => {
                broker.server.kill().await?;
                sleep(lasting).await;
                broker.server.restart().await?;
                Fault::BrokerKilled(lasting)
            }
            5 => {
                scenario.restart_api().await?;
                Fault::ApiKilled
            }
            _ => {
                proxy.cut();
                sleep(lasting).await;
                proxy.heal();
                Fault::NetworkCut(lasting)
            }
        };
        Ok(fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkerKilled => write!(f, "a worker was killed and replaced"),
            Self::WorkerFrozen(lasting) => write!(f, "a worker was frozen for {lasting:?}"),
            Self::BrokerKilled(lasting) => write!(f, "the broker was killed and away for {lasting:?}"),
            Self::ApiKilled => write!(f, "the api was killed and replaced"),
            Self::NetworkCut(lasting) => write!(f, "a worker's network swallowed everything for {lasting:?}"),
        }
    }
}
