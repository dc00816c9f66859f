//! This process and this build, as programs with metrics describe themselves by custom.

use super::{
    Exposition,
    Kind::{Counter, Gauge, Info},
};

/// How many units of processor time in `/proc` are a second: a constant of Linux' interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;
/// Where the fields of `/proc/self/stat` are that are counted from the end of the program's name.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const START: usize = 19;

/// What the kernel knows of this process. What it does not tell is absent.
#[derive(Debug, Default, PartialEq)]
struct Process {
    cpu_seconds: Option<f64>,
    start_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    virtual_bytes: Option<f64>,
    open_files: Option<f64>,
    max_files: Option<f64>,
}

impl Exposition {
    /// Writes `tidemap_build_info`, and what the kernel knows of this process: `process_*`. `program` is such
    /// as `tidemap-api`.
    pub fn process(&mut self, program: &str) {
        let help = "The program and its version.";
        let labels = [("program", program), ("version", env!("CARGO_PKG_VERSION"))];
        self.family(Info, "tidemap_build_info", help).sample(&labels, 1.0);
        let process = Process::read();
        for (kind, name, help, value) in [
            (
                Counter,
                "process_cpu_seconds_total",
                "Processor time that the process has used.",
                process.cpu_seconds,
            ),
            (
                Gauge,
                "process_start_time_seconds",
                "When the process started, Unix seconds.",
                process.start_seconds,
            ),
            (
                Gauge,
                "process_resident_memory_bytes",
                "Memory of the process that is in RAM.",
                process.resident_bytes,
            ),
            (Gauge, "process_virtual_memory_bytes", "Address space of the process.", process.virtual_bytes),
            (Gauge, "process_open_fds", "Files and connections that are open.", process.open_files),
            (Gauge, "process_max_fds", "The most that may be open.", process.max_files),
        ] {
            if let Some(value) = value {
                self.family(kind, name, help).sample(&[], value);
            }
        }
    }
}

impl Process {
    /// Nothing is known on systems without `/proc`.
    fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let mut process = Self::parse(
            &text("/proc/self/stat"),
            &text("/proc/stat"),
            &text("/proc/self/status"),
            &text("/proc/self/limits"),
        );
        // One of them is the listing itself.
        let files = std::fs::read_dir("/proc/self/fd").ok().map(|listing| listing.count().saturating_sub(1));
        process.open_files = files.map(|count| count as f64);
        process
    }

    fn parse(stat: &str, machine: &str, status: &str, limits: &str) -> Self {
        // The name may contain blanks and parentheses.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let field = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok());
        let boot = number_after(machine, "btime");
        Self {
            cpu_seconds: field(USER_TIME)
                .zip(field(SYSTEM_TIME))
                .map(|(user, system)| (user + system) / TICKS_PER_SECOND),
            start_seconds: boot.zip(field(START)).map(|(boot, start)| boot + start / TICKS_PER_SECOND),
            resident_bytes: number_after(status, "VmRSS:").map(|kilobytes| kilobytes * 1_024.0),
            virtual_bytes: number_after(status, "VmSize:").map(|kilobytes| kilobytes * 1_024.0),
            open_files: None,
            max_files: number_after(limits, "Max open files"),
        }
    }
}

/// The first number of the line that begins with these words.
fn number_after(text: &str, words: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(words))?;
    rest.split_whitespace().next()?.parse::<f64>().ok().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read_in_base_units() {
        let stat = "7 (a) (b c) S 1 7 7 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 3 0 12345 99 8 1";
        let process = Process::parse(
            stat,
            "cpu 1 2 3\nbtime 1700000000\n",
            "Name:\tx\nVmSize:\t    2048 kB\nVmRSS:\t      12 kB\n",
            "Limit Soft Limit\nMax open files            1024                 4096                 files\n",
        );
        let expected = Process {
            cpu_seconds: Some(3.0),
            start_seconds: Some(1_700_000_123.45),
            resident_bytes: Some(12_288.0),
            virtual_bytes: Some(2_097_152.0),
            open_files: None,
            max_files: Some(1_024.0),
        };
        assert_eq!(process, expected);
        assert_eq!(Process::parse("", "", "VmRSS:", "Max open files unlimited"), Process::default());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_known() {
        let mut text = Exposition::default();
        text.process("tidemap-test");
        let text = text.finish();
        for name in ["cpu_seconds_total", "start_time_seconds", "resident_memory_bytes", "open_fds"] {
            let value = text.lines().find_map(|line| line.strip_prefix(&format!("process_{name} ")));
            assert!(value.is_some_and(|value| value.parse::<f64>().is_ok()), "{name}: {text}");
        }
        let build = format!(
            "tidemap_build_info{{program=\"tidemap-test\",version=\"{}\"}} 1\n",
            env!("CARGO_PKG_VERSION")
        );
        assert!(text.contains(&build), "{text}");
    }
}
