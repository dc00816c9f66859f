//! Names for alerts that every evaluator finds by itself.

use tidemap_wire::AlertTarget;

/// FNV-1a with 128 bits: the same in every process and version.
const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// The id of an alert.
pub(super) fn alert(rule: &str, target: &AlertTarget, since_ms: i64) -> String {
    let kind = format!("{:?}", target.kind);
    let parts = [rule, "\0", &kind, "\0", &target.id, "\0", &since_ms.to_string()];
    let bytes = parts.iter().flat_map(|part| part.bytes());
    let hash = bytes.fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use tidemap_wire::TargetKind;

    use super::*;

    #[test]
    fn an_id_stays_what_it_is() {
        let target = |id: &str| super::super::target::other_target(TargetKind::Node, id, "any name");
        assert_eq!(alert("offline", &target("web-01"), 1_700_000_000_000), "GOLDEN");
        assert_ne!(alert("offline", &target("web-01"), 1), alert("offline", &target("web-02"), 1));
        assert_ne!(alert("offline", &target("web-01"), 1), alert("offline", &target("web-01"), 2));
    }
}
