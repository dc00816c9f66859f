use super::{FRAGMENTS, ROWS, condense};
use crate::row::TREND_SIZE;

/// An element as far as selectors ask for it: the name, the attributes, and the elements that it is in.
#[derive(Clone, Debug)]
struct Element {
    tag: String,
    attributes: Vec<(String, String)>,
    inside: Vec<usize>,
}

/// The elements of a well-formed fragment, in document order. Malformed ones panic, which fails the test.
fn elements(html: &str) -> Vec<Element> {
    let (mut elements, mut open) = (Vec::<Element>::new(), Vec::<usize>::new());
    let mut rest = html;
    while let Some((_, tag)) = rest.split_once('<') {
        let end = tag_end(tag);
        let (inner, after) = (&tag[..end], &tag[end + 1..]);
        rest = after;
        if let Some(name) = inner.strip_prefix('/') {
            let opened = open.pop().expect("an end tag without its start");
            assert_eq!(elements[opened].tag, name, "in {html}");
            continue;
        }
        let (inner, is_closed) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
        let (name, attributes) = inner.split_once(' ').unwrap_or((inner, ""));
        let element = Element { tag: name.into(), attributes: parse(attributes), inside: open.clone() };
        if !is_closed {
            open.push(elements.len());
        }
        elements.push(element);
    }
    assert!(open.is_empty(), "an element without its end in {html}");
    elements
}

/// Where the tag ends: no `>` within quotes does.
fn tag_end(tag: &str) -> usize {
    let mut is_quoted = false;
    tag.find(|letter| {
        is_quoted ^= letter == '\'';
        letter == '>' && !is_quoted
    })
    .expect("a tag without its end")
}

fn parse(attributes: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = attributes.trim();
    while !rest.is_empty() {
        let name_end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(name_end);
        let (value, after) = match after.strip_prefix('=') {
            None => ("", after),
            Some(after) => match after.strip_prefix('\'') {
                Some(quoted) => quoted.split_once('\'').expect("a quote without its end"),
                None => after.split_at(after.find(' ').unwrap_or(after.len())),
            },
        };
        found.push((name.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    found
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// Whether one part of a selector matches: a name, `#id`, `.class` or `[attribute=value]`.
    fn is(&self, part: &str) -> bool {
        if let Some(id) = part.strip_prefix('#') {
            self.attribute("id") == Some(id)
        } else if let Some(class) = part.strip_prefix('.') {
            self.attribute("class").is_some_and(|classes| classes.split(' ').any(|other| other == class))
        } else if let Some(pair) = part.strip_prefix('[') {
            let (name, value) = pair.trim_end_matches(']').split_once('=').expect("attribute=value");
            self.attribute(name) == Some(value)
        } else {
            self.tag == part
        }
    }
}

/// How many elements the selector finds: parts apart by spaces, each inside of the one before.
fn count(html: &str, selector: &str) -> usize {
    let elements = elements(html);
    let parts: Vec<&str> = selector.split(' ').collect();
    let (last, outer) = parts.split_last().expect("a selector");
    let matches = |element: &&Element| {
        let mut wanted = outer.iter().rev();
        let mut part = wanted.next();
        for around in element.inside.iter().rev() {
            if part.is_some_and(|part| elements[*around].is(part)) {
                part = wanted.next();
            }
        }
        element.is(last) && part.is_none()
    };
    elements.iter().filter(matches).count()
}

#[test]
fn every_selector_finds_an_element_in_its_fragment() {
    for (file, html, selectors) in FRAGMENTS {
        for selector in *selectors {
            assert!(count(html, selector) > 0, "{file}.html has no {selector}");
        }
    }
}

#[test]
fn rows_have_the_texts_that_are_written_into_them() {
    for (file, row) in ROWS {
        assert_eq!(count(row.html, ".text"), row.texts, "{file}.html");
    }
}

#[test]
fn a_selector_that_finds_nothing_is_noticed() {
    let html = "<p id=a class='b c' title='1 > 0'><b></b></p><i />";
    for selector in ["#a", ".c", "b", "p b", "#a b", "i", "[id=a]"] {
        assert_eq!(count(html, selector), 1, "{selector}");
    }
    for selector in ["#b", ".a", "p i", "b p", "[id=b]"] {
        assert_eq!(count(html, selector), 0, "{selector}");
    }
}

#[test]
fn line_breaks_and_indentation_are_for_readers_only() {
    const SOURCE: &str = "<p>\n  a <b>\n</b>\n</p>\n";
    const HTML: [u8; condense::len(SOURCE)] = condense::condensed(SOURCE);
    assert_eq!(HTML, *b"<p>a <b></b></p>");
}

#[test]
fn a_rows_small_line_has_the_box_that_it_is_drawn_for() {
    let (width, height) = TREND_SIZE;
    let (_, html, _) = FRAGMENTS.iter().find(|(file, ..)| *file == "node_row").unwrap();
    assert!(html.contains(&format!("viewBox='0 0 {width} {height}'")));
}
