//! Map tiles of a tile server, for operators who want more detail than the bundled map has.

use anyhow::{Context, ensure};

/// The placeholders that a tile address contains once each: zoom, column and row.
const PLACEHOLDERS: [&str; 3] = ["{z}", "{x}", "{y}"];

/// The longest attribution: the map is small.
const ATTRIBUTION_CHARS: usize = 200;

/// Where tiles come from: this origin, or another one over HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TilesUrl {
    template: String,
    origin: Option<String>,
}

/// The source of the tiles: one line of plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TilesAttribution(String);

/// The operator's tiles.
#[derive(Clone, Debug)]
pub(crate) struct Tiles {
    pub(crate) url: TilesUrl,
    pub(crate) attribution: Option<TilesAttribution>,
}

impl Tiles {
    /// The origin from which the page must be allowed to load images, if it is another one.
    pub(crate) fn origin(&self) -> Option<&str> {
        self.url.origin.as_deref()
    }

    /// The element that names the tiles in the page's head.
    pub(crate) fn meta(&self) -> String {
        let attribution = self.attribution.as_ref().map_or("", |attribution| &attribution.0);
        format!(
            "<meta name=\"tidemap-tiles\" content=\"{}\" data-attribution=\"{}\">\n",
            escaped(&self.url.template),
            escaped(attribution)
        )
    }
}

impl std::str::FromStr for TilesUrl {
    type Err = anyhow::Error;

    fn from_str(template: &str) -> Result<Self, Self::Err> {
        let once = |placeholder: &&str| template.matches(*placeholder).count() == 1;
        ensure!(PLACEHOLDERS.iter().all(once), "it must contain each of {{z}}, {{x}} and {{y}} once");
        let rest = PLACEHOLDERS.iter().fold(template.to_owned(), |rest, it| rest.replace(it, ""));
        let is_legal = |byte: u8| byte.is_ascii_graphic() && !b"{}\"'<>\\^`|#".contains(&byte);
        ensure!(rest.bytes().all(is_legal), "it contains characters that an address must not contain");
        let origin = match template.strip_prefix("https://") {
            Some(rest) => Some(format!("https://{}", authority(rest)?)),
            None => {
                let is_path = template.starts_with('/') && !template.starts_with("//");
                ensure!(is_path, "it must begin with https:// or, for this origin, with /");
                None
            }
        };
        Ok(Self { template: template.to_owned(), origin })
    }
}

impl std::str::FromStr for TilesAttribution {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_line = !text.trim().is_empty() && !text.chars().any(char::is_control);
        ensure!(is_line, "it must be one line of text");
        ensure!(
            text.chars().count() <= ATTRIBUTION_CHARS,
            "it must have at most {ATTRIBUTION_CHARS} characters"
        );
        Ok(Self(text.to_owned()))
    }
}

/// The host and port at the beginning of an address. They go into the page's policy, where a separator would
/// begin another rule, so only characters of a name, a number and a colon are allowed.
fn authority(rest: &str) -> anyhow::Result<&str> {
    let (authority, _) = rest.split_once('/').context("it must contain a path")?;
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    ensure!(host.split('.').all(is_label), "{host:?} is not a host name");
    ensure!(
        port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0)),
        "its port is not a port number"
    );
    Ok(authority)
}

/// A text, escaped for an attribute.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            char => html.push(char),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_names_an_origin_or_is_a_path_of_this_one() {
        let origin = |template: &str| template.parse::<TilesUrl>().unwrap().origin;
        assert_eq!(
            origin("https://tiles.example:8443/{z}/{x}/{y}@2x.png?key=a&b=1").as_deref(),
            Some("https://tiles.example:8443")
        );
        assert_eq!(origin("/tiles/{z}/{x}/{y}.png"), None);
    }

    #[test]
    fn a_bad_template_is_refused() {
        for template in [
            "",
            "https://tiles.example/{z}/{x}.png",
            "https://tiles.example/{z}/{x}/{y}/{y}.png",
            "https://{s}.tiles.example/{z}/{x}/{y}.png",
            "https://{x}.tiles.example/{z}/{y}.png",
            "http://tiles.example/{z}/{x}/{y}.png",
            "javascript:alert(1)//{z}{x}{y}",
            "//tiles.example/{z}/{x}/{y}.png",
            "tiles/{z}/{x}/{y}.png",
            "https:///{z}/{x}/{y}.png",
            "https://tiles.example:0/{z}/{x}/{y}.png",
            "https://me:secret@tiles.example/{z}/{x}/{y}.png",
            "https://a;script-src/{z}/{x}/{y}",
            "https://a,b/{z}/{x}/{y}",
            "https://* /{z}/{x}/{y}",
            "https://*/{z}/{x}/{y}",
            "https://tiles.example/{z}/{x}/{y}.png\r\nx: y",
            "/{z}/{x}/{y}\"><script>",
        ] {
            assert!(template.parse::<TilesUrl>().is_err(), "{template:?}");
        }
        for text in ["", " ", "a\nb", &"x".repeat(201)] {
            assert!(text.parse::<TilesAttribution>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn hostile_values_stay_inside_their_attributes() {
        let tiles = Tiles {
            url: "/t/{z}/{x}/{y}?a=1&b=2".parse().unwrap(),
            attribution: Some("\"><script>alert('1')</script>&amp; © them".parse().unwrap()),
        };
        assert_eq!(
            tiles.meta(),
            "<meta name=\"tidemap-tiles\" content=\"/t/{z}/{x}/{y}?a=1&amp;b=2\" data-attribution=\"&quot;&gt;\
             &lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp; © them\">\n"
        );
    }
}
