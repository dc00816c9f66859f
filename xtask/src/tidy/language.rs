//! The width of comments, and words that do not belong to the field's language.

use super::sources::{assert_none, sources};

/// The width of a comment's line, which is that of code in `rustfmt.toml`.
const MAX_WIDTH: usize = 110;
/// The width of a line of prose in a document.
const MAX_PROSE_WIDTH: usize = 110;
/// Lines of the form `word: what to write instead`. This check does not read that file.
const WORDS: &str = include_str!("words.txt");
/// The changelog quotes older names.
const OLD_WORDS_ALLOWED: &str = "CHANGELOG.md";

fn width(line: &str) -> usize {
    line.chars().count()
}

#[test]
fn comments_are_no_wider_than_code() {
    let mut violations = Vec::new();
    for source in sources(&["rs", "conf", "toml", "yaml", "service"]) {
        let mark = if source.path.ends_with(".rs") { "//" } else { "#" };
        for (number, line) in (1..).zip(source.text.lines()) {
            if line.trim_start().starts_with(mark) && width(line) > MAX_WIDTH {
                violations.push(format!("{}:{number}: {} columns", source.path, width(line)));
            }
        }
    }
    assert_none(&format!("comments of at most {MAX_WIDTH} columns"), &violations);
}

#[test]
fn prose_is_wrapped() {
    let mut violations = Vec::new();
    for source in sources(&["md"]) {
        let mut in_code = false;
        for (number, line) in (1..).zip(source.text.lines()) {
            in_code ^= line.starts_with("```");
            // Tables, pictures and commands cannot be wrapped.
            let unwrappable = in_code || line.starts_with(['|', '!']) || line.starts_with("    ");
            if !unwrappable && width(line) > MAX_PROSE_WIDTH {
                violations.push(format!("{}:{number}: {} columns", source.path, width(line)));
            }
        }
    }
    assert_none(&format!("prose of at most {MAX_PROSE_WIDTH} columns"), &violations);
}

#[test]
fn words_are_those_of_the_field() {
    let words: Vec<(&str, &str)> = WORDS.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut violations = Vec::new();
    for source in sources(&["rs", "md", "conf", "toml", "yaml", "service", "js", "css", "html"]) {
        if source.path == OLD_WORDS_ALLOWED {
            continue;
        }
        for (number, line) in (1..).zip(source.text.lines()) {
            for used in words_of(line) {
                if let Some((word, better)) = words.iter().find(|(word, _)| *word == used) {
                    violations.push(format!("{}:{number}: \"{word}\": write {better}", source.path));
                }
            }
        }
    }
    assert_none("words of xtask/src/tidy/words.txt", &violations);
}

/// The words of a line in lower case, also those that `snake_case` and `CamelCase` put together.
fn words_of(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for letter in line.chars() {
        if !letter.is_alphabetic() || (letter.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        if letter.is_alphabetic() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
        after_lower = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn names_are_split_into_words() {
    assert_eq!(
        words_of("fn old_name(HttpClient, MAX_SIZE)"),
        ["fn", "old", "name", "http", "client", "max", "size"]
    );
}
