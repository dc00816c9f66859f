//! What traffic comes to over hours, days, months and billing cycles, from the rows of the history.

mod csv;
mod parameters;

use std::{sync::Arc, time::Duration};

use tidemap_service::{clock, watched_file::FileContent};
use tidemap_traffic::{Plan, Plans};
use tidemap_wire::http::{PlanJson, PlansJson, TrafficJson};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use warp::reply::Response;

use self::parameters::TrafficQuery;
use crate::{
    answers::Encoded,
    http::{
        Asked, Site, bodies,
        errors::ApiError,
        history::{Format, respond, turn},
        query,
    },
    json,
};

/// How often the present cycles of all plans are counted, for `/metrics`.
const PERIOD: Duration = Duration::from_secs(60);
/// How soon again when one of them could not be counted.
const RETRY_PERIOD: Duration = Duration::from_secs(5);
/// A warning is due after as many failures in a row: stations may start later than this.
const FAILURES: u32 = 3;
/// What everybody may know of a file that is wrong.
const WRONG_FILE: &str = "the file of plans is wrong: what it said before stays in force";
/// They are counted for no more than one in as many parts of the time.
const SHARE: u32 = 10;

/// `GET /api/traffic?node=|by=&key=|plan=&cycle=&anchor=&tz=&periods=&direction=&quota=&p95=&commit=&format=`
pub(super) async fn read(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let now_ms = clock::unix_ms();
    let TrafficQuery { plan, is_declared, periods, format } =
        parameters::read(&asked.query, &site.plans().value, now_ms)?;
    let turn = turn(site).await?;
    let traffic = answer(site, plan, is_declared, periods, now_ms).await?;
    let write = move |format| match format {
        Format::Json => json::encode(&traffic),
        Format::Csv => csv::traffic(&traffic),
    };
    respond(asked, site, format, write, turn).await
}

/// `GET /api/traffic/plans`
pub(super) async fn plans(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    query::none(&asked.query)?;
    let counted = site.standings.borrow().clone();
    let of = |plan: &Plan| PlanJson {
        name: plan.name.clone(),
        present: counted.iter().find(|traffic| traffic.plan.as_ref() == Some(&plan.name)).cloned(),
    };
    let FileContent { value, warning, .. } = site.plans();
    // The file's path is nothing for everybody.
    let warning =
        warning.map(|warning| if site.redacted { WRONG_FILE.to_owned() } else { warning.to_string() });
    let body = json::encode(&PlansJson { plans: value.plans.iter().map(of).collect(), warning });
    let (tag, body) = (bodies::tag(&body), Encoded::long(body, &site.budget)?);
    bodies::encoded(&asked.headers, &tag, bodies::JSON, &body).await
}

/// What the last periods of a plan came to.
async fn answer(
    site: &Site,
    plan: Plan,
    is_declared: bool,
    periods: usize,
    now_ms: i64,
) -> Result<TrafficJson, ApiError> {
    let traffic = tidemap_billing::traffic(&site.history, plan, is_declared, periods, now_ms).await?;
    match traffic.unknown.first() {
        Some(unknown) if !is_declared => Err(ApiError::NotFound(format!("history of {unknown}"))),
        _ => Ok(traffic),
    }
}

/// Counts the present cycles of all plans again and again until `stop`, and again when the plans have
/// changed. A plan that cannot be counted is left out until it can.
pub(crate) async fn follow(
    site: Site,
    mut plans: watch::Receiver<FileContent<Plans>>,
    stop: CancellationToken,
) {
    let mut failures = 0_u32;
    loop {
        let begun = Instant::now();
        let declared = Arc::clone(&plans.borrow_and_update().value);
        let mut known = Vec::new();
        let mut failed = None;
        for plan in &declared.plans {
            let count = async {
                let _turn = turn(&site).await?;
                answer(&site, plan.clone(), true, 1, clock::unix_ms()).await
            };
            // The service stops.
            let Some(counted) = stop.run_until_cancelled(count).await else { return };
            match counted {
                Ok(traffic) => known.push(traffic),
                Err(error) => failed = Some((&plan.name, error)),
            }
        }
        // Those of plans that have changed meanwhile are nobody's.
        if !Arc::ptr_eq(&declared, &plans.borrow().value) {
            site.standings.send_replace(Arc::default());
            continue;
        }
        site.standings.send_replace(known.into());
        failures = if failed.is_some() { failures.saturating_add(1) } else { 0 };
        if let Some((plan, error)) = &failed
            && failures == FAILURES
        {
            tracing::warn!(plan, %error, "plans cannot be counted at the moment");
        }
        let rest = if failed.is_none() { PERIOD } else { RETRY_PERIOD }.max(begun.elapsed() * SHARE);
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(rest) => {}
            Ok(()) = plans.changed() => {}
        }
    }
}
