//! Style sheets without comments and needless white space.

/// Drops comments, and white space without meaning. Strings stay as they are.
pub(super) fn condensed(sheet: &str) -> String {
    let mut kept = String::with_capacity(sheet.len());
    let mut rest = sheet;
    while let Some(start) = rest.find(['"', '\'', '/']) {
        push(&mut kept, &rest[..start]);
        rest = &rest[start..];
        let end = if let Some(comment) = rest.strip_prefix("/*") {
            // A comment separates its neighbours.
            push(&mut kept, " ");
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
            continue;
        } else {
            string_end(rest).unwrap_or(1)
        };
        kept.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    push(&mut kept, rest);
    kept
}

/// Adds text outside strings. A space before a colon is kept, because in a selector it means "inside", and so
/// are those around a plus, a minus and a comparison.
fn push(kept: &mut String, text: &str) {
    for character in text.chars() {
        let before = kept.chars().next_back().unwrap_or('{');
        if character.is_ascii_whitespace() {
            if !matches!(before, ' ' | '{' | '}' | ';' | ',' | ':') {
                kept.push(' ');
            }
            continue;
        }
        if before == ' ' && matches!(character, '{' | '}' | ';' | ',') {
            kept.pop();
        }
        if character == '}' && kept.ends_with(';') {
            kept.pop();
        }
        kept.push(character);
    }
}

/// The end of the string at the beginning of this text.
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
    use super::condensed;

    #[test]
    fn comments_and_needless_space_go_and_strings_stay() {
        let check = |sheet: &str, kept: &str| assert_eq!(condensed(sheet), kept);
        check("/* a */a {\n  b: 1px /* c\n */ 2px;\n\n}\n", "a{b:1px 2px}");
        check("a { content: \"/* no */\" } /* yes */", "a{content:\"/* no */\"}");
        check("a { content: '\\'/*' }", "a{content:'\\'/*'}");
        check("a { font: 1px/2px x; }", "a{font:1px/2px x}");
        check("a :hover, b > c { width: calc(1px + 2px); }", "a :hover,b > c{width:calc(1px + 2px)}");
        check(
            "@media (1px <= width < 2px) { a { b: \"x ; y\" ; } }",
            "@media (1px <= width < 2px){a{b:\"x ; y\"}}",
        );
        check("/* never closed", "");
    }
}
