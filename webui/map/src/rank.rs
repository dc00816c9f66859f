//! Sorting by a number. The map sorts many things, and each sort of another type would add code to the page.

/// The positions of all keys in ascending order of the keys; equal keys stay in their order.
pub fn ascending(mut keys: impl Iterator<Item = u64>) -> Vec<u32> {
    sorted(&mut keys)
}

/// Radix sort, one byte of the keys at a time, the lowest first. A comparison sort would be three times as
/// much code.
fn sorted(keys: &mut dyn Iterator<Item = u64>) -> Vec<u32> {
    let mut keyed: Vec<(u64, u32)> = keys.zip(0..).collect();
    let mut next = keyed.clone();
    for shift in (0..64).step_by(8) {
        let byte = |key: u64| (key >> shift) as usize & 0xff;
        let mut ends = [0_usize; 256];
        for (key, _) in &keyed {
            ends[byte(*key)] += 1;
        }
        if ends.contains(&keyed.len()) {
            // All keys have the same byte here.
            continue;
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        for pair in keyed.iter().rev() {
            let end = &mut ends[byte(pair.0)];
            *end -= 1;
            next[*end] = *pair;
        }
        std::mem::swap(&mut keyed, &mut next);
    }
    keyed.into_iter().map(|(_, position)| position).collect()
}

/// A key by which the largest number comes first. Only for numbers from 0 up; NaN comes last.
pub fn descending(value: f64) -> u64 {
    !value.max(0.0).to_bits()
}

#[cfg(test)]
mod tests {
    use super::{ascending, descending};

    #[test]
    fn equal_keys_keep_their_order() {
        assert_eq!(ascending([7, 3, 7, 1, 3].into_iter()), [3, 1, 4, 0, 2]);
    }

    #[test]
    fn the_largest_comes_first() {
        let values = [0.5, f64::NAN, 1e9, 0.0, 2.0, f64::INFINITY];
        assert_eq!(ascending(values.into_iter().map(descending)), [5, 2, 4, 0, 1, 3]);
    }
}
