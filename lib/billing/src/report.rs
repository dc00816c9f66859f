//! What was counted, as the API says it. Pure.

use tidemap_traffic::{
    Direction, Period, Plan, Standing, Sum, forecast,
    percentile::{CommitUse, Rates, SlotRange, Slots},
};
use tidemap_wire::http::{P95Json, QuotaJson, SlotRatesJson, TrafficJson, TrafficPeriodJson};

use crate::count::Counted;

/// The answer of which `periods` are the periods.
pub(crate) fn report(plan: &Plan, is_declared: bool, periods: &[Period], counted: Counted) -> TrafficJson {
    let Counted { sums, slots, complete_until_ms, unknown, members } = counted;
    let of = sums.iter().zip(&slots).zip(periods);
    let periods =
        of.map(|((sum, slots), at)| period(plan, *at, sum, slots.as_ref(), complete_until_ms, members));
    TrafficJson {
        plan: is_declared.then(|| plan.name.clone()),
        of: plan.scope.to_string(),
        unknown,
        cycle: plan.schedule.text(),
        time_zone: plan.zone.name().to_owned(),
        direction: plan.quota_direction().as_str().to_owned(),
        quota_bytes: plan.quota.as_ref().map(|(quota, _)| quota.bytes),
        quota_unit: plan.quota.as_ref().map(|(_, unit)| unit.name().to_owned()),
        complete_until_ms,
        periods: periods.collect(),
    }
}

fn period(
    plan: &Plan,
    period: Period,
    sum: &Sum,
    slots: Option<&(SlotRange, Slots)>,
    complete_until_ms: i64,
    members: usize,
) -> TrafficPeriodJson {
    let until_ms = complete_until_ms.clamp(period.from_ms, period.to_ms);
    let total = sum.total();
    let counted_bytes = sum.is_known().then(|| plan.quota_direction().of(total));
    let complete_ms = (until_ms - period.from_ms).unsigned_abs();
    TrafficPeriodJson {
        from_ms: period.from_ms,
        to_ms: period.to_ms,
        from: plan.zone.show(period.from_ms),
        to: plan.zone.show(period.to_ms),
        counted_from_ms: sum.counted.from_ms,
        counted_to_ms: sum.counted.to_ms,
        partial: complete_until_ms < period.to_ms,
        rx_bytes: sum.is_known().then_some(total.rx),
        tx_bytes: sum.is_known().then_some(total.tx),
        unplaced_rx_bytes: sum.unplaced.rx,
        unplaced_tx_bytes: sum.unplaced.tx,
        covered_ms: sum.covered_ms,
        expected_ms: complete_ms.saturating_mul(members as u64),
        counted_bytes,
        forecast_bytes: counted_bytes.and_then(|bytes| forecast(bytes, period, until_ms)),
        quota: counted_bytes.and_then(|bytes| quota(plan, bytes, period, until_ms)),
        p95: slots.and_then(|(range, slots)| {
            p95(
                slots,
                range.over_by(complete_until_ms),
                plan.p95_direction(),
                plan.commit.as_ref().map(|rate| rate.bps),
            )
        }),
    }
}

fn quota(plan: &Plan, measured: u64, period: Period, until_ms: i64) -> Option<QuotaJson> {
    let (quota, _) = plan.quota.as_ref()?;
    let correction_bytes = plan.correction(period);
    let Standing { used_bytes, left_bytes, percent, threshold, forecast_bytes, exceeded_at_ms } =
        quota.standing(measured, correction_bytes, period, until_ms);
    let said = QuotaJson {
        correction_bytes,
        used_bytes,
        left_bytes,
        percent,
        threshold,
        forecast_bytes,
        exceeded_at_ms,
    };
    Some(said)
}

fn p95(slots: &Slots, expected: usize, direction: Direction, commit_bps: Option<u64>) -> Option<P95Json> {
    let bill = slots.bill(expected, direction, commit_bps)?;
    let rates = |rates: Rates| SlotRatesJson {
        min_bps: rates.min_bps,
        mean_bps: rates.mean_bps,
        max_bps: rates.max_bps,
        p95_bps: rates.p95_bps,
    };
    let commit = |of: fn(CommitUse) -> u64| bill.commit.map(of);
    Some(P95Json {
        direction: direction.as_str().to_owned(),
        slots: bill.slots as u64,
        expected_slots: bill.expected as u64,
        present_slots: bill.present as u64,
        rx: rates(bill.rx),
        tx: rates(bill.tx),
        both: rates(bill.both),
        billed_bps: bill.billed_bps,
        commit_bps: commit(|used| used.commit_bps),
        overage_bps: commit(|used| used.overage_bps),
        burst_slots: commit(|used| used.burst_slots as u64),
        burst_budget_slots: commit(|used| used.burst_budget as u64),
    })
}
