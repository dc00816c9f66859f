//! How smooth the page is with a fleet that moves: left alone, dragged, sorted and searched.

use std::time::Duration;

use fantoccini::Locator;
use tidemap_testkit::browser::Browser;
use tokio::time::sleep;

use crate::{
    Plan,
    recorder::{self, largest, quantile},
};
use tidemap_bench::table::{Goal, Table};

/// How long to wait for a paint after an input, far longer than the goal for it.
const PAINT_PAUSE: Duration = Duration::from_millis(300);
/// The browser does not report shorter interactions.
const SHORTEST_REPORTED_MS: f64 = 16.0;

/// Measures the page that the browser shows.
pub(crate) async fn measure(plan: &Plan, browser: &Browser, table: &mut Table) -> anyhow::Result<()> {
    left_alone(plan, browser, table).await?;
    dragged(plan, browser, table, "panning 10,000 nodes of the real fleet").await?;
    sorted(browser, table).await?;
    searched(browser, table).await?;
    let record = recorder::read(browser).await?;
    table.note("row elements", record.row_elements as f64, "", Goal::AtMost(80.0));
    table.note("elements of the page", record.elements as f64, "", Goal::None);
    table.note("requests to other origins", record.foreign as f64, "", Goal::AtMost(0.0));
    table.note("reports of the content policy", record.violations as f64, "", Goal::AtMost(0.0));
    table.note(
        "complaints on the console",
        recorder::complaints(browser).await? as f64,
        "",
        Goal::AtMost(0.0),
    );
    Ok(())
}

async fn left_alone(plan: &Plan, browser: &Browser, table: &mut Table) -> anyhow::Result<()> {
    // The browser optimises the page's code while it runs.
    sleep(Duration::from_secs(3)).await;
    recorder::reset(browser).await?;
    sleep(plan.looking).await;
    let record = recorder::read(browser).await?;
    let what = |what: &str| format!("1 Hz for {} s: {what}", plan.looking.as_secs());
    table.note(
        what("deltas"),
        record.deltas.len() as f64,
        "",
        Goal::AtLeast(plan.looking.as_secs_f64() * 0.9),
    );
    table.note(what("median frame"), quantile(&record.frames, 0.5)?, "ms", Goal::AtMost(16.8));
    table.note(what("p99 frame"), quantile(&record.frames, 0.99)?, "ms", Goal::AtMost(33.0));
    table.note(what("longest frame"), largest(&record.frames), "ms", Goal::None);
    table.note(what("tasks over 50 ms"), record.tasks.len() as f64, "", Goal::AtMost(0.0));
    table.note(what("longest task over 50 ms"), largest(&record.tasks), "ms", Goal::None);
    table.note(what("longest frame with its painting"), largest(&record.long_frames), "ms", Goal::None);
    table.note(what("page's part of frames, median"), quantile(&record.page_frames, 0.5)?, "ms", Goal::None);
    table.note(what("page's part of frames, longest"), largest(&record.page_frames), "ms", Goal::None);
    table.note(what("decode and apply, median"), quantile(&record.deltas, 0.5)?, "ms", Goal::None);
    Ok(())
}

/// A drag to and fro with one pointer move in each frame, as browsers deliver them. The driver's own pointer
/// moves about thirty times a second, so it would measure the driver.
const DRAG: &str = "
    const [ms, done] = arguments, stage = document.querySelector('.map-stage'), box = stage.getBoundingClientRect();
    const point = (kind, x, y) => stage.dispatchEvent(new PointerEvent(kind, {
        pointerId: 7, button: 0, buttons: 1, pointerType: 'mouse', bubbles: true,
        clientX: box.x + box.width / 2 + x, clientY: box.y + box.height / 2 + y }));
    const begun = performance.now();
    point('pointerdown', 0, 0);
    const move = () => {
        const at = (performance.now() - begun) / 480;
        if (performance.now() - begun > ms) {
            // Cancelled instead of released, because a release would be a flick.
            point('pointercancel', 0, 0);
            return done();
        }
        point('pointermove', Math.round(200 * Math.sin(at)), Math.round(60 * (1 - Math.cos(at))));
        benchRecorder.nextFrame(move);
    };
    benchRecorder.reset();
    move();";

/// Drags the map to and fro, and counts the frames in which it followed.
pub(crate) async fn dragged(
    plan: &Plan,
    browser: &Browser,
    table: &mut Table,
    what: &str,
) -> anyhow::Result<()> {
    let ms = serde_json::json!(plan.panning_s * 1_000.0);
    browser.page.execute_async(DRAG, vec![ms]).await?;
    let record = recorder::read(browser).await?;
    let seconds = record.frames.iter().sum::<f64>() / 1_000.0;
    let what = |of: &str| format!("{what}: {of}");
    let per_second = |count: f64| count / seconds;
    let followed = record.page_frames.len() as f64;
    table.note(what("frames"), per_second(record.frames.len() as f64), "/s", Goal::None);
    table.note(what("in which the map followed"), per_second(followed), "/s", Goal::AtLeast(50.0));
    table.note(what("page's part, p99"), quantile(&record.page_frames, 0.99)?, "ms", Goal::None);
    table.note(what("p99 frame"), quantile(&record.frames, 0.99)?, "ms", Goal::None);
    Ok(())
}

/// Clicks every heading, twice.
async fn sorted(browser: &Browser, table: &mut Table) -> anyhow::Result<()> {
    recorder::reset(browser).await?;
    let headings = browser.page.find_all(Locator::Css("#nodes th button")).await?;
    for heading in &headings {
        for _ in 0..2 {
            heading.click().await?;
            sleep(PAINT_PAUSE).await;
        }
    }
    answered(browser, table, "sort").await
}

/// Types into the search and empties it again.
async fn searched(browser: &Browser, table: &mut Table) -> anyhow::Result<()> {
    recorder::reset(browser).await?;
    let search = browser.page.find(Locator::Css("input[type=search]")).await?;
    search.click().await?;
    for key in ["a", "1", " ", "2", "\u{e003}", "\u{e003}", "\u{e003}", "\u{e003}"] {
        search.send_keys(key).await?;
        sleep(PAINT_PAUSE).await;
    }
    answered(browser, table, "search").await
}

async fn answered(browser: &Browser, table: &mut Table, what: &str) -> anyhow::Result<()> {
    let record = recorder::read(browser).await?;
    let interactions = &record.interactions;
    table.note(format!("{what}: answers later than 16 ms"), interactions.len() as f64, "", Goal::None);
    let longest = largest(interactions).max(SHORTEST_REPORTED_MS);
    table.note(format!("{what}: to the next paint, longest"), longest, "ms", Goal::AtMost(50.0));
    table.note(
        format!("{what}: page's part of frames, longest"),
        largest(&record.page_frames),
        "ms",
        Goal::None,
    );
    Ok(())
}
