//! `tidemap nodes`: the fleet's nodes as a table in a terminal. It asks the API.

use serde::Deserialize;
use tidemap_service::cli;
use tidemap_wire::{Bps, Status};

use crate::{
    api_answer::{self, ApiAddressArgs},
    traffic::{harmless, rate},
};

/// Which nodes, and in which order.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct NodesArgs {
    /// Only nodes whose name, place, provider or labels contain this.
    #[arg(value_name = "TEXT")]
    search: Option<String>,
    /// Only nodes that are online, warning (late), offline or unknown (not heard).
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// The field of the API's answer to sort by, such as `network_rx_bytes_per_sec` or `age_ms`; "-" before
    /// it turns the order around. By name unless given.
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Lists at most so many.
    #[arg(long, short = 'n', value_name = "NUMBER")]
    limit: Option<u32>,
    /// Prints the API's own answer instead of a table.
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    format: Option<String>,
    #[command(flatten)]
    api: ApiAddressArgs,
}

pub(crate) async fn run(args: NodesArgs) -> anyhow::Result<()> {
    let is_table = args.format.is_none();
    let body = api_answer::asked(move || args.api.ask(&args.path())).await?;
    if !is_table {
        return Ok(cli::print(body.trim_end())?);
    }
    let nodes: Vec<ListedNode> = api_answer::read(&body)?;
    Ok(cli::print(table(&nodes).trim_end())?)
}

impl NodesArgs {
    fn path(&self) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let sort = Some(self.sort.clone().unwrap_or_else(|| "name".to_owned()));
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in
            [("q", &self.search), ("status", &self.status), ("sort", &sort), ("limit", &limit)]
        {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        format!("/api/nodes?{}", query.finish())
    }
}

/// What the table shows of an element of `GET /api/nodes`.
#[derive(Debug, Deserialize)]
struct ListedNode {
    display_name: String,
    status: Status,
    last_seen: String,
    network_rx_bytes_per_sec_avg_10s: Option<Bps>,
    network_tx_bytes_per_sec_avg_10s: Option<Bps>,
    agent_version: Option<String>,
    location: Option<String>,
}

const COLUMNS: [&str; 7] = ["NODE", "STATUS", "SEEN", "DOWNLOAD", "UPLOAD", "AGENT", "PLACE"];
/// Numbers stand below each other by their ends.
const IS_NUMBER: [bool; 7] = [false, false, false, true, true, false, false];

/// The nodes as a table. Of one that is not online, rates are not known.
fn table(nodes: &[ListedNode]) -> String {
    let rows: Vec<[String; 7]> = nodes.iter().map(row).collect();
    let heading = COLUMNS.map(str::to_owned);
    let all = || std::iter::once(&heading).chain(&rows);
    let widths: [usize; 7] =
        std::array::from_fn(|column| all().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut out = String::new();
    for row in all() {
        let cells = row.iter().zip(widths).zip(IS_NUMBER).map(|((cell, width), is_number)| {
            if is_number { format!("{cell:>width$}") } else { format!("{cell:width$}") }
        });
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn row(node: &ListedNode) -> [String; 7] {
    let now = |bps: Option<Bps>| match bps.filter(|_| node.status == Status::Online) {
        Some(bps) => rate(bps.get().round() as u64),
        None => "-".to_owned(),
    };
    let text = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), harmless);
    [
        harmless(&node.display_name),
        node.status.to_string(),
        node.last_seen.clone(),
        now(node.network_rx_bytes_per_sec_avg_10s),
        now(node.network_tx_bytes_per_sec_avg_10s),
        text(&node.agent_version),
        text(&node.location),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, status: Status, rx: f64) -> ListedNode {
        ListedNode {
            display_name: name.to_owned(),
            status,
            last_seen: "7s ago".to_owned(),
            network_rx_bytes_per_sec_avg_10s: Bps::new(rx),
            network_tx_bytes_per_sec_avg_10s: None,
            agent_version: Some("0.1.0".to_owned()),
            location: Some("Zürich\u{7}".to_owned()),
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_texts_and_silent_nodes_have_no_rates() {
        let nodes = [node("web-01.example", Status::Online, 125_000_000.0), node("b", Status::Offline, 1.0)];
        assert_eq!(
            table(&nodes),
            "NODE            STATUS   SEEN       DOWNLOAD  UPLOAD  AGENT  PLACE\n\
             web-01.example  online   7s ago  1.00 Gbit/s       -  0.1.0  Zürich?\n\
             b               offline  7s ago            -       -  0.1.0  Zürich?\n"
        );
        assert_eq!(table(&[]).lines().count(), 1);
    }
}
