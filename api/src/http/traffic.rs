//! What traffic comes to over hours, days, months and billing cycles, from the rows of the history.

mod count;
mod csv;
mod parameters;
mod report;

use tidemap_service::clock;
use warp::reply::Response;

use self::{
    count::{Question, count},
    parameters::TrafficQuery,
};
use crate::{
    http::{
        Asked, Site,
        errors::ApiError,
        history::{Format, respond, turn},
    },
    json,
};

/// A window that moves ends with the newest complete minute, unless the history is behind by more than this.
const BEHIND_MS: i64 = 10 * 60_000;

/// `GET /api/traffic?node=|by=&key=|plan=&cycle=&anchor=&tz=&periods=&direction=&quota=&p95=&commit=&format=`
pub(super) async fn read(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let now_ms = clock::unix_ms();
    let TrafficQuery { plan, is_declared, periods, format } =
        parameters::read(&asked.query, &site.plans, now_ms)?;
    let turn = turn(site).await?;
    let status = site.history.status().await?;
    let complete_ms = status.complete_until_ms.min(now_ms);
    let is_behind = plan.schedule.is_rolling() && now_ms - complete_ms <= BEHIND_MS;
    let periods = plan.schedule.last(periods, if is_behind { complete_ms } else { now_ms });
    let question = Question::new(plan, periods, &status, now_ms);
    let counted = count(site, &question).await?;
    if !is_declared && let Some(unknown) = counted.unknown.first() {
        return Err(ApiError::NotFound(format!("history of {unknown}")));
    }
    let traffic = report::report(&question.plan, is_declared, &question.periods, counted);
    let write = move |format| match format {
        Format::Json => json::encode(&traffic),
        Format::Csv => csv::traffic(&traffic),
    };
    respond(asked, site, format, write, turn).await
}
