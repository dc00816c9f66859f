//! Text in a CSV file that somebody opens in a spreadsheet.

use std::borrow::Cow;

/// A text as it stands in a field of a CSV file: behind an apostrophe if a spreadsheet would take it for a
/// formula, so that no node's name or label runs anything on the host of who opens the file.
pub fn csv_text(text: &str) -> Cow<'_, str> {
    // Excel takes the wide forms of Chinese and Japanese keyboards, too.
    let is_formula = text
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_text() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"]
        {
            assert_eq!(csv_text(formula), format!("'{formula}"));
        }
        for text in ["", "web-01", "a=b", "'=1", "香港", "1", " =1"] {
            assert_eq!(csv_text(text), text);
        }
    }
}
