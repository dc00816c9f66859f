//! The page's HTML, and the elements of it that code binds.
//!
//! As code that creates each element, a view is three times as large as the same view in HTML. A fragment
//! names a file and, by a selector, each element that changes; code accesses the element as a field. A test
//! finds selectors that match nothing in their file; if it happened at run time, the page would stop with an
//! error. Fragments contain no data: values are set as text or as attributes, and are never parsed as HTML.
//!
//! Line breaks and indentation in the files are for readers only, and are removed at compile time.

mod condense;
#[cfg(target_arch = "wasm32")]
mod elements;
#[cfg(test)]
mod tests;

use condense::condensed;
#[cfg(target_arch = "wasm32")]
pub(crate) use elements::append;

/// A row of a list: an element whose changing texts are its elements of the class `text`, in their order.
#[derive(Clone, Copy, Debug)]
pub struct RowTemplate {
    /// The row.
    pub html: &'static str,
    /// How many texts it has.
    pub texts: usize,
}

/// The file's HTML.
macro_rules! html {
    ($file:literal) => {{
        const SOURCE: &str = include_str!(concat!("fragments/", $file, ".html"));
        const HTML: [u8; condense::len(SOURCE)] = condensed(SOURCE);
        match std::str::from_utf8(&HTML) {
            Ok(html) => html,
            Err(_) => unreachable!(),
        }
    }};
}

macro_rules! rows {
    ($($name:ident = $file:literal with $texts:literal texts;)*) => {
        $(pub const $name: RowTemplate = RowTemplate { html: html!($file), texts: $texts };)*

        #[cfg(test)]
        const ROWS: &[(&str, RowTemplate)] = &[$(($file, $name)),*];
    };
}

macro_rules! fragments {
    ($($name:ident = $file:literal { $($field:ident: $type:ident = $selector:literal,)* })*) => {
        $(
            /// The elements of the fragment with this name.
            #[cfg(target_arch = "wasm32")]
            pub(crate) struct $name {
                #[allow(dead_code, reason = "not every fragment is bound as a whole")]
                pub(crate) root: web_sys::HtmlElement,
                $(pub(crate) $field: web_sys::$type,)*
            }

            #[cfg(target_arch = "wasm32")]
            impl $name {
                const HTML: &str = html!($file);

                /// The fragment, not in the page yet.
                #[allow(dead_code, reason = "only panels are")]
                pub(crate) fn create() -> Self {
                    Self::bind(elements::create(Self::HTML))
                }

                /// The fragment as the last child of `parent`.
                #[allow(dead_code, reason = "panels are not")]
                pub(crate) fn append(parent: &web_sys::Element) -> Self {
                    Self::bind(elements::append(parent, Self::HTML))
                }

                /// The fragment as the content of an element.
                #[allow(dead_code, reason = "most are appended")]
                pub(crate) fn fill(root: web_sys::HtmlElement) -> Self {
                    root.set_inner_html(Self::HTML);
                    Self::bind(root)
                }

                fn bind(root: web_sys::HtmlElement) -> Self {
                    Self { $($field: elements::bound(&root, $selector),)* root }
                }
            }
        )*

        /// Each fragment's file, HTML and selectors.
        #[cfg(test)]
        const FRAGMENTS: &[(&str, &str, &[&str])] = &[$(($file, html!($file), &[$($selector),*])),*];
    };
}

fragments! {
    AppFrame = "app" {}
    MainFrame = "main" {}
    Header = "header" {
        search: HtmlInputElement = "#search",
        connection: Element = "#connection",
        connection_text: Element = ".chip-text",
        pause: Element = "#pause",
        pause_sign: Element = "#pause path",
        pause_text: Element = "#pause .button-text",
        settings_toggle: Element = ".settings-toggle",
        settings: Element = "#settings",
        pace: HtmlSelectElement = "#pace",
        unit: HtmlSelectElement = "#unit",
        theme: HtmlSelectElement = "#theme",
    }
    Notice = "notice" {
        text: Element = "span",
        button: Element = "button",
    }
    Tabs = "tabs" {
        overview: Element = "[data-of=overview]",
        map: Element = "[data-of=map]",
        nodes: Element = "[data-of=nodes]",
    }
    Kpis = "kpis" {}
    KpiRate = "kpi_rate" {
        arrow: Element = ".arrow",
        label: Element = ".kpi-name",
        value: Element = ".kpi-value",
        unit: Element = ".kpi-unit",
        note: Element = ".kpi-note",
        line: Element = ".spark-line",
        area: Element = ".spark-area",
    }
    KpiCounts = "kpi_counts" {}
    KpiCount = "kpi_count" {
        sign: Element = ".status-sign",
        label: Element = ".count-label",
        value: Element = ".count-value",
    }
    KpiMeans = "kpi_means" {
        download: Element = "[data-kpi=mean-download]",
        upload: Element = "[data-kpi=mean-upload]",
    }
    KpiMeters = "kpi_meters" {}
    KpiMeter = "kpi_meter" {
        label: Element = ".meter-label",
        bar: Element = ".meter-fill",
        value: Element = ".meter-value",
    }
    Map = "map" {
        container: HtmlElement = "#map",
    }
    Nodes = "nodes" {
        count: Element = "#count",
        in_view: Element = "#in-view",
        filters: HtmlElement = ".filters",
        held: Element = ".caption-held",
        scroller: HtmlElement = ".scroller",
        table: Element = "#nodes",
        head: HtmlElement = "thead",
        headings: Element = ".grid-head",
        body: HtmlElement = "tbody",
        bones: HtmlElement = ".bones",
        empty: HtmlElement = "#empty",
        no_match: HtmlElement = "#no-match",
        clear: Element = "#no-match button",
    }
    Heading = "heading" {
        button: Element = ".sort",
        name: Element = ".unseen",
        label: Element = ".sort-label",
        unit: Element = ".sort-unit",
    }
    TrendHeading = "trend_heading" {}
    NodeRow = "node_row" {
        sign: Element = ".status-sign",
        status: Element = ".unseen",
        name: Element = "[data-cell=name]",
        place: Element = "[data-cell=place]",
        download: Element = "[data-cell=rx]",
        upload: Element = "[data-cell=tx]",
        age: Element = ".age",
        trend: Element = "path",
    }
    Summary = "summary" {
        top_download: HtmlElement = "#top-download",
        top_upload: HtmlElement = "#top-upload",
        by: HtmlSelectElement = "#by",
        count: Element = "#groups-count",
        unit: Element = "#groups-unit",
        groups: HtmlElement = "#groups",
    }
    Drawer = "drawer" {
        title: Element = "#detail-title",
        sign: Element = ".status-sign",
        since: Element = "#detail-since",
        close: Element = "#detail-close",
        word: Element = "#detail-word",
        known: HtmlElement = "#detail-known",
        unit: Element = "#detail-unit",
        rates: HtmlElement = "#detail-rates tbody",
        minute: HtmlElement = "#chart-60s",
        quarter: HtmlElement = "#chart-15m",
        interfaces: HtmlElement = "#detail-interfaces",
        interface_rows: HtmlElement = "#detail-interfaces tbody",
        host: HtmlElement = "#detail-host",
        identity: HtmlElement = "#detail-identity",
    }
    Chart = "chart" {
        title: Element = "h3",
        button: Element = ".link",
        word: HtmlElement = ".drawer-word",
        frame: HtmlElement = ".chart-box",
        drawing: Element = "svg",
        status: Element = "output",
        table: HtmlElement = ".values",
        values: HtmlElement = "tbody",
    }
    Announcer = "announcer" {}
    Debug = "debug" {}
}

rows! {
    FILTER = "filter" with 1 texts;
    TALKER = "talker" with 2 texts;
    GROUP = "group" with 5 texts;
    OPTION = "option" with 1 texts;
    RATES = "rates" with 6 texts;
    INTERFACE = "interface" with 5 texts;
    FACT = "fact" with 2 texts;
    CHART_VALUE = "chart_value" with 3 texts;
}
