//! How much there is in a message, found without decoding it.
//!
//! An empty map takes one byte in MessagePack and becomes an [`Interface`](crate::Interface) of a hundred. So
//! a report of 32 KiB may take a thousand times as long to decode as an agent's, and nobody who reads the
//! same log may wait for that.

use crate::bounds;

/// Values of a report: a report with [`bounds::SAMPLES`] samples and a full hello has fewer.
const VALUES: usize = 16_384;

/// Whether a message has no more values, and no longer list, than a report may have. Cheap: it looks at each
/// value's first byte. What is not MessagePack is for the decoder to refuse.
pub(crate) fn is_within_bounds(message: &[u8]) -> bool {
    let mut rest = message;
    for _ in 0..=VALUES {
        let Some((marker, tail)) = rest.split_first() else { return true };
        let Some((entries, skipped)) = head(*marker, tail) else { return true };
        if entries > bounds::SAMPLES {
            return false;
        }
        let Some(next) = tail.get(skipped..) else { return true };
        rest = next;
    }
    false
}

/// How many entries of a list or a map follow a value's first byte, and how many bytes belong to the value
/// itself. `None` when it is no value.
fn head(marker: u8, tail: &[u8]) -> Option<(usize, usize)> {
    Some(match marker {
        0xc1 => return None,
        // Small numbers, nil, booleans; short lists and maps, whose entries are values of their own.
        ..=0x9f | 0xc0 | 0xc2 | 0xc3 | 0xe0.. => (0, 0),
        0xa0..=0xbf => (0, usize::from(marker & 0x1f)),
        // Bytes and texts with a length of 1, 2 or 4 bytes.
        0xc4 | 0xd9 => (0, 1 + length::<1>(tail)?),
        0xc5 | 0xda => (0, 2 + length::<2>(tail)?),
        0xc6 | 0xdb => (0, 4 + length::<4>(tail)?),
        // Extensions have a type, too.
        0xc7 => (0, 2 + length::<1>(tail)?),
        0xc8 => (0, 3 + length::<2>(tail)?),
        0xc9 => (0, 5 + length::<4>(tail)?),
        0xd4..=0xd8 => (0, 1 + (1 << (marker - 0xd4))),
        // Numbers of 1, 2, 4 or 8 bytes.
        0xcc | 0xd0 => (0, 1),
        0xcd | 0xd1 => (0, 2),
        0xca | 0xce | 0xd2 => (0, 4),
        0xcb | 0xcf | 0xd3 => (0, 8),
        // Lists and maps with a length of 2 or 4 bytes.
        0xdc | 0xde => (length::<2>(tail)?, 2),
        0xdd | 0xdf => (length::<4>(tail)?, 4),
    })
}

fn length<const N: usize>(tail: &[u8]) -> Option<usize> {
    let bytes = tail.first_chunk::<N>()?;
    Some(bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;
    use crate::encode;

    #[derive(Clone, Debug, Serialize)]
    #[serde(untagged)]
    enum Value {
        Nil,
        Bool(bool),
        Signed(i64),
        Unsigned(u64),
        Float(f64),
        Single(f32),
        Text(String),
        Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
        List(Vec<Value>),
        Map(std::collections::BTreeMap<u32, Value>),
    }

    fn value() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Signed),
            any::<u64>().prop_map(Value::Unsigned),
            any::<f64>().prop_map(Value::Float),
            any::<f32>().prop_map(Value::Single),
            "[a-z]{0,300}".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        ];
        scalar.prop_recursive(4, 64, 20, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::List),
                proptest::collection::btree_map(any::<u32>(), inner, 0..20).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_stepped_over(values in proptest::collection::vec(value(), 1..4)) {
            let mut message: Vec<u8> = values.iter().flat_map(encode).collect();
            prop_assert!(is_within_bounds(&message));
            // Its end is found exactly: a long list behind it is seen.
            message.extend(encode(&vec![0_u8; bounds::SAMPLES + 1]));
            prop_assert!(!is_within_bounds(&message));
        }

        #[test]
        fn no_bytes_break_it(bytes in any::<Vec<u8>>()) {
            is_within_bounds(&bytes);
        }
    }

    #[test]
    fn long_lists_and_many_values_are_out_of_bounds() {
        assert!(is_within_bounds(&encode(&vec![0_u8; bounds::SAMPLES])));
        assert!(!is_within_bounds(&encode(&vec![0_u8; bounds::SAMPLES + 1])));
        // The length that a list claims counts, whatever follows.
        assert!(!is_within_bounds(b"\xdd\xff\xff\xff\xff"));
        assert!(is_within_bounds(&[0x80; VALUES]));
        assert!(!is_within_bounds(&[0x80; VALUES + 1]));
    }
}
