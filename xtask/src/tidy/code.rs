//! Rust source text for the checks: its tokens, without comments, literals and tests.

/// A word, or a single sign; `::` is one sign.
pub(super) type Token = String;

/// The tokens of a file. Items under `#[cfg(test)]` are left out.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    without_tests(&split(&without_literals(text)))
}

/// The modules that a file declares for its tests only.
pub(super) fn test_modules(text: &str) -> Vec<String> {
    let tokens = split(&without_literals(text));
    let mut modules = Vec::new();
    for at in 0..tokens.len() {
        if is_test_attribute(&tokens[at..])
            && let Some(after) = tokens[at..].iter().position(|token| token == "mod")
            && tokens.get(at + after + 2).is_some_and(|token| token == ";")
        {
            modules.push(tokens[at + after + 1].clone());
        }
    }
    modules
}

/// Comments become a blank, literals become `0`.
fn without_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut kept = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let literal = if rest.starts_with("//") {
            rest.find('\n')
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else if rest.starts_with("r\"") || rest.starts_with("r#\"") {
            let end = if rest.starts_with("r#") { "\"#" } else { "\"" };
            rest[3..].find(end).map(|found| found + 3 + end.len())
        } else if rest.starts_with('"') {
            Some(quoted(rest, b'"'))
        } else if is_character(rest) {
            Some(quoted(rest, b'\''))
        } else {
            let letter = rest.chars().next().map_or(1, char::len_utf8);
            kept.push_str(&rest[..letter]);
            at += letter;
            continue;
        };
        kept.push_str(if rest.starts_with('/') { " " } else { "0" });
        at += literal.unwrap_or(rest.len());
    }
    kept
}

/// The length of a literal that begins and ends with `quote`.
fn quoted(text: &str, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Whether this is a character's literal, and no lifetime.
fn is_character(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next() == Some('\'')
        && match letters.next() {
            Some('\\') => true,
            Some(_) => letters.next() == Some('\''),
            None => false,
        }
}

fn split(code: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut open = false;
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        let in_word = letter.is_alphanumeric() || letter == '_';
        match tokens.last_mut() {
            Some(word) if in_word && open => word.push(letter),
            _ if letter == ':' && letters.next_if_eq(&':').is_some() => tokens.push("::".to_owned()),
            _ if !letter.is_whitespace() => tokens.push(letter.to_string()),
            _ => {}
        }
        open = in_word;
    }
    tokens
}

fn is_test_attribute(tokens: &[Token]) -> bool {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    tokens.len() >= attribute.len() && tokens.iter().zip(attribute).all(|(token, wanted)| token == wanted)
}

fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            at += item_length(&tokens[at..]);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// The number of tokens up to the end of the item that begins here: its `;`, or the end of its braces.
fn item_length(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
        // The end of a `use` with braces is its semicolon.
        if token == "}" && depth == 0 && tokens.get(at + 1).is_none_or(|next| next != ";") {
            return at + 1;
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_literals_and_tests_are_left_out() {
        let text = r##"
            use a::{b, c}; // crate::no
            #[cfg(test)]
            use crate::no::{x, y};
            /* crate::no */ const S: &'static str = "crate::no \" }";
            const R: &str = r#"crate::"no""#; const C: [char; 2] = ['\'', '{'];
            #[cfg(test)]
            mod tests { fn no() {} }
            fn end() {}
        "##;
        let found = tokens(text).join(" ");
        assert_eq!(
            found,
            "use a :: { b , c } ; const S : & ' static str = 0 ; const R : & str = 0 ; \
             const C : [ char ; 2 ] = [ 0 , 0 ] ; fn end ( ) { }"
        );
    }

    #[test]
    fn modules_for_tests_are_found() {
        assert_eq!(test_modules("mod a;\n#[cfg(test)]\nmod tests;\nmod b;"), ["tests"]);
    }
}
