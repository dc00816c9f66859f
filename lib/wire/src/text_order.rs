//! The order of texts that people expect: letters without regard to case, runs of digits as numbers.

/// Bytes that compare as people order the texts: a run of digits becomes its length and then its digits.
/// `lowercase` is the text in lower case, which a browser makes in another way than a program.
pub fn natural_key(lowercase: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(lowercase.len() + 4);
    let mut rest = lowercase.as_bytes();
    while let [first, tail @ ..] = rest {
        if first.is_ascii_digit() {
            let digits = number(&mut rest);
            key.extend([b'0', digits.len().min(255) as u8]);
            key.extend(digits);
        } else {
            key.push(*first);
            rest = tail;
        }
    }
    key
}

/// Takes the leading digits of a text, without zeros in front.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::natural_key;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_in_texts_are_read_as_numbers(a in any::<u64>(), b in any::<u64>(), word in "[a-z-]{0,12}") {
            let [one, other] = [a, b].map(|number| natural_key(&format!("{word}{number}x")));
            prop_assert_eq!(one.cmp(&other), a.cmp(&b));
        }

        #[test]
        fn texts_without_digits_are_ordered_as_bytes(one in "[a-z .ø]{0,20}", other in "[a-z .ø]{0,20}") {
            prop_assert_eq!(natural_key(&one).cmp(&natural_key(&other)), one.cmp(&other));
        }
    }
}
