//! The bodies of Prometheus' remote write (version 1): a message of protocol buffers, written by hand because
//! it has four kinds of fields. Pure.

/// One series and some of its samples, in the order of time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// The metric's name.
    pub metric: &'static str,
    /// The node's name: the only label, so a series lasts as long as its node.
    pub node: String,
    /// Unix milliseconds and values. Whole numbers are exact up to 2^53.
    pub samples: Vec<(i64, f64)>,
}

/// A `WriteRequest` of some series and their samples. It has as many `TimeSeries` (field 1), these have each
/// `Label` (1: name 1, value 2) and each `Sample` (2: value 1, timestamp 2).
pub(crate) fn write_request<'a>(series: impl IntoIterator<Item = (&'a Series, &'a [(i64, f64)])>) -> Vec<u8> {
    let mut request = Vec::new();
    let (mut one, mut part) = (Vec::new(), Vec::new());
    for (Series { metric, node, .. }, samples) in series {
        one.clear();
        // Labels are in the order of their names.
        for (name, value) in [("__name__", *metric), ("node", node)] {
            part.clear();
            put_bytes(&mut part, 1, name.as_bytes());
            put_bytes(&mut part, 2, value.as_bytes());
            put_bytes(&mut one, 1, &part);
        }
        for (at_ms, value) in samples {
            part.clear();
            put_key(&mut part, 1, FIXED_64);
            part.extend_from_slice(&value.to_le_bytes());
            put_key(&mut part, 2, VARINT);
            put_varint(&mut part, at_ms.cast_unsigned());
            put_bytes(&mut one, 2, &part);
        }
        put_bytes(&mut request, 1, &one);
    }
    request
}

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_AND_BYTES: u64 = 2;

fn put_key(message: &mut Vec<u8>, field: u64, kind: u64) {
    put_varint(message, field << 3 | kind);
}

fn put_bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_key(message, field, LENGTH_AND_BYTES);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

/// Seven bits in each byte, the low ones first; all bytes but the last have the eighth.
fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    message.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_bytes_that_the_format_says() {
        let series = Series { metric: "m", node: "ab".to_owned(), samples: vec![(300, 1.0), (-1, 0.0)] };
        let parts: [&[u8]; 12] = [
            &[0x0a, 63],
            &[0x0a, 13, 0x0a, 8],
            b"__name__",
            &[0x12, 1],
            b"m",
            &[0x0a, 10, 0x0a, 4],
            b"node",
            &[0x12, 2],
            b"ab",
            &[0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02],
            &[0x12, 20, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ];
        let written = write_request([(&series, series.samples.as_slice())]);
        assert_eq!(written, parts.concat());
        assert_eq!(usize::from(written[1]), written.len() - 2);
        assert!(write_request([]).is_empty());
    }
}
