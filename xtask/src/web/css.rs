//! Style sheets without what only people read.

/// Drops comments, indentation and empty lines. Everything else, strings above all, stays as it is written.
pub(super) fn without_comments(sheet: &str) -> String {
    let mut kept = String::with_capacity(sheet.len());
    let mut rest = sheet;
    while let Some(start) = rest.find(['"', '\'', '/']) {
        kept.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
            continue;
        } else {
            string_end(rest).unwrap_or(1)
        };
        kept.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    kept.push_str(rest);
    let lines = kept.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Where the string ends that this text begins with.
fn string_end(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|first| *first != '/')?;
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return Some(at + character.len_utf8()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::without_comments;

    #[test]
    fn comments_and_indentation_go_and_strings_stay() {
        let check = |sheet: &str, kept: &str| assert_eq!(without_comments(sheet), kept);
        check("/* a */a {\n  b: 1px /* c\n */ 2px;\n\n}\n", "a {\nb: 1px  2px;\n}\n");
        check("a { content: \"/* no */\" } /* yes */", "a { content: \"/* no */\" }\n");
        check("a { content: '\\'/*' }", "a { content: '\\'/*' }\n");
        check("a { font: 1px/2px x; }", "a { font: 1px/2px x; }\n");
        check("/* never closed", "");
    }
}
