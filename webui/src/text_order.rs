//! Texts in the order that people expect: letters without regard to case, runs of digits as numbers.

use tidemap_format::lean;
use tidemap_map::rank;
use tidemap_wire::natural_key;

/// All rows, ordered by their text.
///
/// Eight bytes of the keys at a time, last ones first: each pass keeps the order of the one before where
/// bytes are equal.
pub(crate) fn in_order<'a>(rows: usize, text: &dyn Fn(usize) -> Option<&'a str>) -> Vec<u32> {
    let keys: Vec<Vec<u8>> = (0..rows).map(|row| key(text(row).unwrap_or(""))).collect();
    let longest = keys.iter().map(Vec::len).max().unwrap_or(0);
    let mut order: Vec<u32> = (0..rows as u32).collect();
    for from in (0..longest).step_by(8).rev() {
        let sorted = rank::ascending(order.iter().map(|row| eight_bytes(&keys[*row as usize], from)));
        order = sorted.into_iter().map(|at| order[at as usize]).collect();
    }
    order
}

/// Whether nothing parts two texts in that order.
pub(crate) fn reads_alike(a: &str, b: &str) -> bool {
    key(a) == key(b)
}

fn key(text: &str) -> Vec<u8> {
    natural_key(&lean::lowercase(text))
}

/// The eight bytes from `from` on as a number; zeros where there are none, which no text holds.
fn eight_bytes(key: &[u8], from: usize) -> u64 {
    (from..from + 8).fold(0, |number, at| number << 8 | u64::from(key.get(at).copied().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::in_order;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_in_names_are_read_as_numbers(a in 0_u32..100_000, b in 0_u32..100_000, word in "[a-z-]{0,12}") {
            let texts = [format!("{word}{a}x"), format!("{word}{b}x")];
            let order = in_order(2, &|row| Some(&*texts[row]));
            prop_assert_eq!(order, if a <= b { [0, 1] } else { [1, 0] });
        }

        #[test]
        fn texts_without_digits_are_ordered_as_bytes(texts in proptest::collection::vec("[a-z .ø]{0,20}", 0..20)) {
            let order = in_order(texts.len(), &|row| Some(&*texts[row]));
            prop_assert!(order.is_sorted_by_key(|row| &texts[*row as usize]));
        }
    }
}
