//! The highest load that the pipeline carries, and which resource limits it. A ceiling is reported with its
//! ratio to the bare broker's. It is not a goal, because it depends on the machine; `fleets` has the goals
//! for what must be carried.

use tidemap_bench::table::{Goal, Table};
use tokio::time::sleep;

use crate::{
    MANY, Plan, REPORTING,
    limits::Limits,
    note_seen,
    services::{Account, Services, Way},
    watch::{PROCESSES, Seen, watch},
};

/// What the bare broker reaches with single messages in the same way. A pack counts as one message, however
/// many reports it holds, so for packs the ratio shows their gain.
fn bare(way: Way, limits: &Limits) -> (&'static str, f64) {
    match way {
        Way::Acknowledged => {
            ("acknowledged publish by the agents' service import", limits.acknowledged_by_import)
        }
        Way::Unanswered => ("stream capture by the agents' service import", limits.capture_by_import),
        Way::Packed => ("stream capture", limits.capture),
    }
}

/// The headline's fleet without relays and without waiting for acknowledgements: more than the broker can
/// store.
pub(crate) async fn single_reports(plan: &Plan, limits: &Limits, table: &mut Table) -> anyhow::Result<()> {
    let way = Way::Unanswered;
    eprintln!("{MANY} nodes, {}", way.name());
    let services = Services::start().await?;
    let fleet = services.fleet(MANY, 1.0, way).await?;
    sleep(plan.warming).await;
    let seen = watch(&services, &fleet, plan.watching).await?;
    let account = services.settle(fleet, 0).await?;
    let what = |of: &str| format!("{MANY} nodes, {}: {of}", way.name());
    note_seen(&seen, None, &what, table);
    table.note(what("samples published"), account.published as f64, "", Goal::None);
    table.note(what("samples lost"), account.lost() as f64, "", Goal::Ceiling);
    tell(table, f64::from(MANY), way, (&seen, &account), limits);
    Ok(())
}

/// The same fleet at increasing rates, until one is not carried.
pub(crate) async fn ladder(plan: &Plan, limits: &Limits, table: &mut Table) -> anyhow::Result<()> {
    for way in plan.ceilings.iter().copied() {
        let services = Services::start().await?;
        let (mut held, mut is_found): (f64, bool) = (0.0, false);
        for interval_s in plan.intervals_s.iter().copied() {
            let fleet = services.fleet(MANY, interval_s, way).await?;
            sleep(plan.warming).await;
            let seen = watch(&services, &fleet, plan.step).await?;
            let account = services.settle(fleet, 0).await?;
            let (asked, applied) = (f64::from(MANY) / interval_s, seen.applied_per_second());
            let is_carried = is_carried(&seen, &account);
            is_found = applied < asked * REPORTING || !is_carried;
            if is_carried {
                held = applied;
            }
            let what = |of: &str| format!("ceiling, {}, {asked:.0} samples/s: {of}", way.name());
            table.note(what("applied"), applied, "samples/s", Goal::None);
            table.note(what("lag, highest"), seen.lag_s(&seen.looks, 1.0) * 1_000.0, "ms", Goal::None);
            table.note(what("samples lost"), account.lost() as f64, "", Goal::None);
            for (number, process) in PROCESSES.iter().enumerate().take(4) {
                table.note(what(&format!("processor, {process}")), seen.cores[number], "cores", Goal::None);
            }
            if is_found {
                tell(table, asked, way, (&seen, &account), limits);
                break;
            }
        }
        let what = |of: &str| format!("ceiling, {}: {of}", way.name());
        table.note(what("highest that held"), held, "samples/s", Goal::Ceiling);
        let (bare, limit) = bare(way, limits);
        table.note(what(&format!("its share of the bare broker's {bare}")), held / limit, "", Goal::Ceiling);
        if !is_found {
            table.say(format!(
                "{}: {held:.0} samples/s held, the last step that was tried; the ceiling is above",
                way.name()
            ));
        }
    }
    Ok(())
}

/// Whether everything that was sent was applied, without a growing delay.
fn is_carried(seen: &Seen, account: &Account) -> bool {
    seen.is_bounded() && account.lost() == 0
}

/// Summarises in one sentence the outcome, the limiting resource, and the ratio to the bare broker.
fn tell(table: &mut Table, asked: f64, way: Way, (seen, account): (&Seen, &Account), limits: &Limits) {
    let used: Vec<_> = PROCESSES.into_iter().zip(seen.cores).collect();
    let (applied, (bare, limit)) = (seen.applied_per_second(), bare(way, limits));
    let short = if is_carried(seen, account) {
        "the simulator, of which all was applied at once".to_owned()
    } else {
        seen.load.limit(&used)
    };
    table.say(format!(
        "{}, {asked:.0} samples/s asked: {applied:.0} applied ({:.2} of the bare broker's {bare}, {limit:.0}), {} of {} \
         lost; what was short: {short}",
        way.name(),
        applied / limit,
        account.lost(),
        account.published,
    ));
}
