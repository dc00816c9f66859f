//! The values in the popup of the map's selected node.

use tidemap_format::Unit;
use tidemap_map::Glance;

use crate::detail;
use crate::json::NodeAnswer;
use crate::store::Fleet;

/// The node of a row. Its current rates are the stream's; averages, and the age of the newest report of a
/// node that is not late, are known once the server has answered. An answer about another node is left out.
pub fn glance(fleet: &Fleet, row: usize, unit: Unit, now_ms: i64, answer: Option<&NodeAnswer>) -> Glance {
    let name = fleet.name(row).map(|name| &**name);
    let answer = answer.filter(|answer| Some(&*answer.node.name) == name);
    let rates = |now: Option<f64>, of: fn(&NodeAnswer, Unit) -> [String; 5]| {
        let mut rates = answer.map_or_else(|| [(); 5].map(|()| unit.bare(None)), |answer| of(answer, unit));
        rates[0] = unit.bare(now);
        rates
    };
    Glance {
        is_past: fleet.is_past(),
        age_ms: fleet.age_ms(row, now_ms).or(answer.map(|answer| answer.node.age_ms)),
        download: rates(fleet.rx_bps(row), detail::download),
        upload: rates(fleet.tx_bps(row), detail::upload),
    }
}

#[cfg(test)]
mod tests {
    use tidemap_format::Unit;
    use tidemap_wire::stream::{DeltaEvent, StatusRows};

    use super::glance;
    use crate::json;
    use crate::store::tests::fleet;

    #[test]
    fn averages_are_those_of_the_node_itself_and_now_is_the_streams() {
        let answer = json::node(include_str!("detail/answer.json")).unwrap();
        let mut fleet = fleet(&["other", &answer.node.name]);
        let glance = |fleet: &_, row, answer| glance(fleet, row, Unit::MegaBytes, 20_000, answer);
        let known = glance(&fleet, 1, Some(&answer));
        assert_eq!(known.download, ["0.00", "11.00", "10.00", "–", "–"]);
        assert_eq!(known.upload, ["–", "0.01", "–", "–", "–"]);
        assert_eq!(known.age_ms, Some(answer.node.age_ms));
        let unknown = glance(&fleet, 0, Some(&answer));
        assert_eq!(
            (unknown.age_ms, unknown.download),
            (None, ["0.00", "–", "–", "–", "–"].map(str::to_owned))
        );
        assert_eq!(glance(&fleet, 1, None).age_ms, None, "not 0: nobody has said so");

        let status = StatusRows { i: vec![1], status: vec![1], age_ms: vec![4000] };
        fleet
            .apply_delta(&DeltaEvent { at_ms: 10_000, status: Some(status), ..DeltaEvent::default() })
            .unwrap();
        assert_eq!(glance(&fleet, 1, Some(&answer)).age_ms, Some(14_000), "time goes on for a late node");
    }
}
