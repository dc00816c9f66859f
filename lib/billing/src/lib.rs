//! How plans stand: asks the history stations for what their periods need (`count`), and says what that
//! comes to (`report`). The API answers with it, and alert stations judge it.
#![warn(missing_docs)]

mod count;
mod report;

use tidemap_client::HistoryClient;
use tidemap_traffic::Plan;
use tidemap_wire::http::TrafficJson;

pub use self::count::CountError;
use self::count::{Question, count};

/// A window that moves ends with the newest complete minute, unless the history is behind by more than this.
const BEHIND_MS: i64 = 10 * 60_000;

/// What the last periods of a plan came to, the present one last. The answer names the plan where it
/// `is_declared`.
///
/// # Errors
///
/// When the history does not answer, or it would take too long.
pub async fn traffic(
    history: &HistoryClient,
    plan: Plan,
    is_declared: bool,
    periods: usize,
    now_ms: i64,
) -> Result<TrafficJson, CountError> {
    let status = history.status().await?;
    let complete_ms = status.complete_until_ms.min(now_ms);
    let is_fresh = plan.schedule.is_rolling() && now_ms - complete_ms <= BEHIND_MS;
    let periods = plan.schedule.last(periods, if is_fresh { complete_ms } else { now_ms });
    let question = Question::new(plan, periods, &status, now_ms);
    let counted = count(history, &question).await?;
    Ok(report::report(&question.plan, is_declared, &question.periods, counted))
}
