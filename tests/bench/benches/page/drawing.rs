//! Single steps, nothing else running: a delta from text to columns, and the map drawn.

use tidemap_testkit::browser::Browser;
use tokio::time::{Duration, interval};

use crate::{
    MANY_NODES, NODES, Plan,
    fleet::Fleet,
    motion,
    recorder::{self, quantile},
    server::Server,
};
use tidemap_bench::table::{Goal, Table};

/// Deltas until the page has been compiled for speed.
const WARM_UP: u32 = 40;
const TICK: Duration = Duration::from_millis(50);
/// Many nodes take longer to write and to draw.
const SLOW_TICK: Duration = Duration::from_millis(250);

/// Two fleets, spread evenly over a window in which hardly any markers become clusters.
pub(crate) async fn measure(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    eprintln!("a made-up fleet; nothing but its server runs beside");
    let browser = recorder::start(1920, 1200).await?;
    let ten_thousand = Subject { nodes: NODES, name: "10,000 nodes", draw_ms: 4.0, apply: Goal::AtMost(5.0) };
    let server = ten_thousand.measure(&browser, plan.deltas, TICK, table).await?;
    motion::dragged(plan, &browser, table, "panning 10,000 single markers").await?;
    drop(server);
    browser.close().await?;
    // So large that a hundred thousand find room without becoming clusters.
    let browser = recorder::start(3840, 2400).await?;
    let many = Subject { nodes: MANY_NODES, name: "100,000 nodes", draw_ms: 25.0, apply: Goal::None };
    let _server = many.measure(&browser, plan.deltas / 4, SLOW_TICK, table).await?;
    browser.close().await
}

struct Subject {
    nodes: u32,
    name: &'static str,
    draw_ms: f64,
    apply: Goal,
}

impl Subject {
    async fn measure(
        &self,
        browser: &Browser,
        deltas: u32,
        tick: Duration,
        table: &mut Table,
    ) -> anyhow::Result<Server> {
        let (server, mut fleet) = (Server::start().await?, Fleet::new(self.nodes));
        let opening = fleet.snapshot()?;
        let snapshot_bytes = opening.len();
        server.say(opening).await?;
        recorder::visit(browser, &format!("{}/?debug", server.url)).await?;
        let mut snapshot_ms = 0.0;
        let mut clock = interval(tick);
        for number in 0..WARM_UP + deltas {
            if number == WARM_UP {
                recorder::heard(browser, u64::from(WARM_UP)).await?;
                snapshot_ms = quantile(&recorder::read(browser).await?.snapshots, 0.5)?;
                recorder::reset(browser).await?;
            }
            clock.tick().await;
            server.say(fleet.tick()?).await?;
        }
        recorder::heard(browser, u64::from(deltas)).await?;
        let record = recorder::read(browser).await?;
        let what = |of: &str| format!("{}: {of}", self.name);
        table.note(what("snapshot"), snapshot_bytes as f64, "bytes", Goal::None);
        table.note(what("decode and apply the snapshot"), snapshot_ms, "ms", Goal::None);
        table.note(
            what("decode and apply a delta, median"),
            quantile(&record.deltas, 0.5)?,
            "ms",
            self.apply,
        );
        table.note(what("decode and apply a delta, p95"), quantile(&record.deltas, 0.95)?, "ms", Goal::None);
        table.note(what("map drawn, median"), quantile(&record.map, 0.5)?, "ms", Goal::AtMost(self.draw_ms));
        table.note(
            what("of which the browser takes over pixels"),
            quantile(&record.pixels, 0.5)?,
            "ms",
            Goal::None,
        );
        table.note(what("map drawn, p95"), quantile(&record.map, 0.95)?, "ms", Goal::None);
        table.note(what("rows written, median"), quantile(&record.rows, 0.5)?, "ms", Goal::None);
        Ok(server)
    }
}
