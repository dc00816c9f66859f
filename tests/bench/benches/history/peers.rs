//! The same rows in `VictoriaMetrics` and in Prometheus' blocks, as Debian packages them.

use std::{
    cell::Cell,
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tidemap_service::child_watchdog::ChildWatchdog;
use tidemap_testkit::{eventually, http::get, port::free_port};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command as AsyncCommand},
    time::Instant,
};

use crate::rows::{COLUMNS, Fleet, metrics};

const READY_TIMEOUT: Duration = Duration::from_secs(60);
const MERGE_TIMEOUT: Duration = Duration::from_secs(120);
/// When its files have not changed for so long, everything is merged.
const STILL: Duration = Duration::from_secs(5);

/// `VictoriaMetrics` with a fleet's rows.
pub(crate) struct Victoria {
    /// What its folder takes.
    pub(crate) bytes: u64,
    url: String,
    _process: Child,
    _watchdog: ChildWatchdog,
    _folder: TempDir,
}

impl Victoria {
    /// Starts one and gives it all rows; none where it is not installed.
    pub(crate) async fn start(fleet: &Fleet) -> anyhow::Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let started = AsyncCommand::new("victoria-metrics")
            .arg(format!("-storageDataPath={}", folder.path().display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-retentionPeriod=10y", "-loggerLevel=ERROR"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let Ok(process) = started else {
            eprintln!("victoria-metrics is not installed: no figures of it");
            return Ok(None);
        };
        let watchdog = ChildWatchdog::of_process(process.id().context("it runs")?)?;
        let url = format!("http://{address}");
        eventually(READY_TIMEOUT, || async {
            ensure!(get(format!("{url}/health")).await?.status == 200, "not ready");
            Ok(())
        })
        .await?;
        for number in 0..fleet.nodes {
            post(&address, "/api/v1/import", &series(fleet, number)).await?;
        }
        let name = fleet.name(fleet.nodes - 1);
        let begin = fleet.range_ms().0 / 1_000;
        eventually(READY_TIMEOUT, || async {
            let answer =
                get(format!("{url}/api/v1/export?match[]={{node=%22{name}%22}}&start={begin}")).await?;
            ensure!(answer.body.lines().count() == COLUMNS, "{} series", answer.body.lines().count());
            Ok(())
        })
        .await?;
        get(format!("{url}/internal/force_flush")).await?;
        get(format!("{url}/internal/force_merge")).await?;
        let bytes = merged_bytes(&url, folder.path()).await?;
        Ok(Some(Self { bytes, url, _process: process, _watchdog: watchdog, _folder: folder }))
    }

    /// Asks for all of a node.
    pub(crate) fn question(&self, fleet: &Fleet, number: usize) -> String {
        let node = fleet.name(number as u32 % fleet.nodes);
        let (from, to) = fleet.range_ms();
        let (start, end) = (from / 1_000, to / 1_000);
        format!("{}/api/v1/export?match[]={{node=%22{node}%22}}&start={start}&end={end}", self.url)
    }
}

/// What the files take once nothing is merged any more: while parts are merged, both the old and the new ones
/// are there.
async fn merged_bytes(url: &str, folder: &Path) -> anyhow::Result<u64> {
    let last = Cell::new((0, Instant::now()));
    eventually(MERGE_TIMEOUT, || async {
        let now = size(folder)?;
        let metrics = get(format!("{url}/metrics")).await?.body;
        let mut merges =
            metrics.lines().filter(|line| line.starts_with("vm_active_") && line.contains("merges"));
        if merges.any(|line| !line.ends_with(" 0")) || now != last.get().0 {
            last.set((now, Instant::now()));
        }
        ensure!(last.get().1.elapsed() >= STILL, "still merging: {now} bytes");
        Ok(now)
    })
    .await
}

/// A node's rows, a line for each metric.
fn series(fleet: &Fleet, number: u32) -> String {
    let mut counted = [0; 2];
    let rows: Vec<_> = (fleet.from..fleet.from + fleet.minutes)
        .map(|minute| (minute, metrics(&fleet.row(number, minute, &mut counted))))
        .collect();
    let times: Vec<String> =
        rows.iter().map(|(minute, _)| (u64::from(*minute) * 60_000).to_string()).collect();
    let mut lines = String::new();
    for metric in 0..COLUMNS {
        let values: Vec<String> = rows.iter().map(|(_, values)| values[metric].1.to_string()).collect();
        let (name, node) = (rows[0].1[metric].0, fleet.name(number));
        let labels = format!("{{\"__name__\":\"{name}\",\"node\":\"{node}\"}}");
        writeln!(
            lines,
            "{{\"metric\":{labels},\"values\":[{}],\"timestamps\":[{}]}}",
            values.join(","),
            times.join(",")
        )
        .unwrap();
    }
    lines
}

async fn post(address: &str, path: &str, body: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    Ok(())
}

/// What Prometheus' blocks take with a fleet's rows; none where promtool is not installed.
pub(crate) async fn prometheus_bytes(fleet: &Fleet) -> anyhow::Result<Option<u64>> {
    let folder = tempfile::tempdir()?;
    let (text, blocks) = (folder.path().join("rows"), folder.path().join("blocks"));
    let mut nodes: Vec<[u64; 2]> = vec![[0; 2]; fleet.nodes as usize];
    let mut lines = [(); COLUMNS].map(|()| String::new());
    for (number, counted) in (0..).zip(&mut nodes) {
        for minute in fleet.from..fleet.from + fleet.minutes {
            let values = metrics(&fleet.row(number, minute, counted));
            for (lines, (name, value)) in lines.iter_mut().zip(values) {
                let (node, seconds) = (fleet.name(number), u64::from(minute) * 60);
                writeln!(lines, "{name}{{node=\"{node}\"}} {value} {seconds}")?;
            }
        }
    }
    let types =
        metrics(&fleet.row(0, fleet.from, &mut [0; 2])).map(|(name, _)| format!("# TYPE {name} gauge\n"));
    let whole: String = types.iter().zip(&lines).map(|(kind, lines)| format!("{kind}{lines}")).collect();
    fs::write(&text, whole + "# EOF\n")?;
    let mut command = Command::new("promtool");
    command.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&text).arg(&blocks).stdout(Stdio::null());
    match command.status() {
        Ok(status) => ensure!(status.success(), "promtool failed"),
        Err(_) => {
            eprintln!("promtool is not installed: no figures of Prometheus");
            return Ok(None);
        }
    }
    size(&blocks).map(Some)
}

/// What the files of a folder take.
fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
