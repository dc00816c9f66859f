//! SVG as text: numbers, constant words, and what the caller vouches for.

/// Adds a path with a class and its commands.
pub fn path(svg: &mut String, class: &str, d: &str) {
    for part in ["<path class=\"", class, "\" d=\"", d, "\"/>"] {
        svg.push_str(part);
    }
}

/// Adds a text with a class, placed at its anchor.
pub fn text(svg: &mut String, class: &str, x: i64, y: i64, text: &str) {
    let head = ["text class=\"", class, "\""].concat();
    element(svg, &head, &[("x", x), ("y", y)], "text", text);
}

/// Adds an element: its name with attributes, attributes that are numbers, its name again, its content.
pub fn element(svg: &mut String, head: &str, numbers: &[(&str, i64)], tag: &str, content: &str) {
    svg.push('<');
    svg.push_str(head);
    for (name, number) in numbers {
        for part in [" ", name, "=\"", &number.to_string(), "\""] {
            svg.push_str(part);
        }
    }
    for part in [">", content, "</", tag, ">"] {
        svg.push_str(part);
    }
}
