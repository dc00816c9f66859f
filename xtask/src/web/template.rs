//! Templates: text with `{{name}}` in place of a built file's path.

use anyhow::{Context, Result};

/// Replaces every `{{name}}` by the path that `path_of` knows for it; an unknown name is an error.
pub(super) fn fill(template: &str, path_of: impl Fn(&str) -> Option<String>) -> Result<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, tail) = after.split_once("}}").context("a {{ without a }}")?;
        filled.push_str(before);
        filled.push_str(
            &path_of(name.trim()).with_context(|| format!("no built file is called {{{{{name}}}}}"))?,
        );
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(name: &str) -> Option<String> {
        (name == "css").then(|| "./app.12.css".to_owned())
    }

    #[test]
    fn names_become_paths() {
        let filled = fill("<link href=\"{{css}}\"> {{ css }} {}", path_of).unwrap();
        assert_eq!(filled, "<link href=\"./app.12.css\"> ./app.12.css {}");
    }

    #[test]
    fn unknown_and_unclosed_names_are_refused() {
        assert_eq!(fill("{{wasm}}", path_of).unwrap_err().to_string(), "no built file is called {{wasm}}");
        assert!(fill("{{css", path_of).is_err());
    }
}
