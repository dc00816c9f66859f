//! A few of a host's metrics over the steps of an answer of the history.

use serde::{Deserialize, Serialize};

/// Columns with one entry for each step. Shares are tenths of a percent; an entry is absent where no sample
/// of the step tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostSteps {
    /// The mean use of all processors.
    pub cpu: Vec<Option<u16>>,
    /// The highest use of all processors in a single sample.
    pub cpu_max: Vec<Option<u16>>,
    /// The largest share of memory in use.
    pub memory_max: Vec<Option<u16>>,
    /// The largest share of the disk in use.
    pub disk_max: Vec<Option<u16>>,
    /// The highest load average over 1 minute, hundredths.
    pub load_max: Vec<Option<u32>>,
}

impl HostSteps {
    /// So many steps of which nothing is known.
    pub fn unknown(steps: usize) -> Self {
        let nothing = vec![None; steps];
        Self {
            cpu: nothing.clone(),
            cpu_max: nothing.clone(),
            memory_max: nothing.clone(),
            disk_max: nothing,
            load_max: vec![None; steps],
        }
    }

    /// Whether each column has an entry for each of so many steps.
    pub fn is_of(&self, steps: usize) -> bool {
        let Self { cpu, cpu_max, memory_max, disk_max, load_max } = self;
        let shares = [cpu, cpu_max, memory_max, disk_max];
        shares.iter().all(|column| column.len() == steps) && load_max.len() == steps
    }

    /// Adds the steps that follow.
    pub fn append(&mut self, next: Self) {
        self.cpu.extend(next.cpu);
        self.cpu_max.extend(next.cpu_max);
        self.memory_max.extend(next.memory_max);
        self.disk_max.extend(next.disk_max);
        self.load_max.extend(next.load_max);
    }

    /// The columns by their names in JSON and in tables: percent, and a load average.
    pub fn named(&self) -> [(&'static str, Vec<Option<f64>>); 5] {
        let percent = |column: &[Option<u16>]| {
            column.iter().map(|share| share.map(|share| f64::from(share) / 10.0)).collect()
        };
        let load = self.load_max.iter().map(|load| load.map(|load| f64::from(load) / 100.0)).collect();
        let [cpu, cpu_max, memory, disk, load_max] = HOST_COLUMNS;
        [
            (cpu, percent(&self.cpu)),
            (cpu_max, percent(&self.cpu_max)),
            (memory, percent(&self.memory_max)),
            (disk, percent(&self.disk_max)),
            (load_max, load),
        ]
    }
}

/// The columns' names in JSON and in tables.
pub const HOST_COLUMNS: [&str; 5] =
    ["cpu_percent", "cpu_max_percent", "memory_max_percent", "disk_max_percent", "load_1_max"];
