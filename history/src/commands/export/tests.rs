use ::parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit},
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use bytes::Bytes;
use clap::Parser;
use tidemap_wire::{
    CpuMinute, Extremes, HostMinute, MinuteRow, NodeId, bounds,
    history_query::{HOST_COLUMNS, RangeAnswer},
    http::TRAFFIC_COLUMNS,
};

use super::*;
use crate::store::{Batch, GroupKey};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    export: ExportArgs,
}

fn node(name: &str) -> NodeId {
    NodeId::from_name(name).unwrap()
}

/// Two nodes in minutes 10, 11 and 13, one of them by a name that looks like a formula.
fn history(folder: &Path) -> PathBuf {
    let file = folder.join("history.sqlite");
    let mut store = Store::open(&file).unwrap();
    let place = || vec![GroupKey::Location("=Bergen".to_owned())];
    store.set_groups(&[(node("Web-01"), place()), (node("-x"), place())]).unwrap();
    let row = |minute| MinuteRow {
        minute,
        samples: 60,
        covered_ms: 60_000,
        rx_bytes: bounds::MINUTE_BYTES,
        tx_bytes: 1_200,
        rates: Some(Extremes { rx_max: 9, tx_max: 8, rx_min: 2, tx_min: 1 }),
        host: HostMinute {
            cpu: Some(CpuMinute { samples: 12, mean: 123, max: 1_000 }),
            load_max: Some(250),
            ..HostMinute::default()
        },
        ..MinuteRow::default()
    };
    let rows = [10, 11, 13].into_iter().flat_map(|minute| {
        [(node("web-01"), row(minute)), (node("-x"), MinuteRow { rx_bytes: 1, ..row(minute) })]
    });
    store.apply(&Batch { rows: rows.collect(), at_ms: 900_000, ..Batch::default() }).unwrap();
    file
}

fn args(file: &str, more: &[&str]) -> ExportArgs {
    Cli::try_parse_from([&["x", file, "--from", "600000", "--to", "840000"], more].concat()).unwrap().export
}

fn export(more: &[&str]) -> anyhow::Result<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let history = history(folder.path());
    let out = folder.path().join("out");
    args(out.to_str().unwrap(), more).run(&history, &CancellationToken::new())?;
    Ok(std::fs::read(out).unwrap())
}

#[test]
fn every_node_is_written_as_csv() {
    let csv = String::from_utf8(export(&["--by", "node", "--step", "2m"]).unwrap()).unwrap();
    let max = bounds::MINUTE_BYTES;
    assert_eq!(
        csv,
        format!(
            "time,name,{}\r\n\
             1970-01-01T00:10:00Z,'-x,2,2400,0,20,9,8,2,1,120000,0,0\r\n\
             1970-01-01T00:12:00Z,'-x,1,1200,0,20,9,8,2,1,60000,0,0\r\n\
             1970-01-01T00:10:00Z,web-01,{},2400,{},20,9,8,2,1,120000,0,0\r\n\
             1970-01-01T00:12:00Z,web-01,{max},1200,{},20,9,8,2,1,60000,0,0\r\n",
            TRAFFIC_COLUMNS.join(","),
            2 * max,
            max / 60,
            max / 60,
        )
    );
}

#[test]
fn a_node_by_any_case_and_a_group_are_written_and_what_is_not_known_is_empty() {
    let csv = String::from_utf8(export(&["--node", "WEB-01", "--step", "1m"]).unwrap()).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines.len(), lines[3]), (5, "1970-01-01T00:12:00Z,web-01,,,,,,,,,0,0,0"));
    let more = ["--by", "location", "--key", "=Bergen", "--step", "4m"];
    let csv = String::from_utf8(export(&more).unwrap()).unwrap();
    assert!(csv.contains("\r\n1970-01-01T00:08:00Z,'=Bergen,"), "{csv}");
    assert!(String::from_utf8(export(&[]).unwrap()).unwrap().contains("Z,fleet,"));
}

#[test]
fn what_a_parquet_file_holds_is_what_was_answered() {
    let bytes = Bytes::from(export(&["--by", "node", "--step", "1m", "--format", "parquet"]).unwrap());
    let file = SerializedFileReader::new(bytes).unwrap();
    let schema = file.metadata().file_metadata().schema_descr();
    let time = schema.column(0);
    let utc = LogicalType::timestamp(true, TimeUnit::MILLIS);
    assert_eq!(time.logical_type_ref(), Some(&utc));
    assert_eq!(schema.column(2).converted_type(), ConvertedType::UINT_64);
    let names: Vec<_> = schema.columns().iter().map(|column| column.name().to_owned()).collect();
    assert_eq!(names[..2], ["time", "name"]);
    assert_eq!(names[2..], TRAFFIC_COLUMNS);
    let rows: Vec<Vec<Field>> = file
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().get_column_iter().map(|(_, field)| field.clone()).collect())
        .collect();
    assert_eq!(rows.len(), 8);
    assert_eq!(rows[4][..2], [Field::TimestampMillis(600_000), Field::Str("web-01".to_owned())]);
    assert_eq!(
        rows[4][2..5],
        [Field::ULong(bounds::MINUTE_BYTES), Field::ULong(1_200), Field::ULong(bounds::MINUTE_BYTES / 60)]
    );
    assert_eq!(
        rows[6][2..11],
        [const { Field::Null }; 8].into_iter().chain([Field::ULong(0)]).collect::<Vec<_>>()[..]
    );
}

#[test]
fn a_nodes_metrics_are_written_beside_its_traffic_when_they_are_asked_for() {
    let more = ["--node", "web-01", "--host", "--step", "1m"];
    let csv = String::from_utf8(export(&more).unwrap()).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].ends_with(&format!(",unplaced_tx_bytes,{}", HOST_COLUMNS.join(","))), "{csv}");
    assert!(lines[1].ends_with(",60000,0,0,12.3,100,,,2.5") && lines[3].ends_with(",0,0,0,,,,,"), "{csv}");
    let bytes = Bytes::from(export(&[&more[..], &["--format", "parquet"]].concat()).unwrap());
    let file = SerializedFileReader::new(bytes).unwrap();
    let columns = file.metadata().file_metadata().schema_descr().columns().to_vec();
    let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
    assert_eq!(names[13..], HOST_COLUMNS);
    let row = file.get_row_iter(None).unwrap().next().unwrap().unwrap();
    let fields: Vec<Field> = row.get_column_iter().map(|(_, field)| field.clone()).collect();
    let known = |value| Field::Double(value);
    assert_eq!(fields[13..], [known(12.3), known(100.0), Field::Null, Field::Null, known(2.5)]);
    let of_group = export(&["--host"]).unwrap_err().to_string();
    assert_eq!(of_group, "--host: goes with --node NODE or --by node: groups have no such columns");
}

#[test]
fn a_long_range_is_written_in_pieces_without_a_seam() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.sqlite");
    let mut store = Store::open(&file).unwrap();
    let rows = (0..45_000).map(|minute| {
        (node("a"), MinuteRow { minute, covered_ms: 60_000, rx_bytes: minute.into(), ..MinuteRow::default() })
    });
    store.apply(&Batch { rows: rows.collect(), at_ms: 60_000 * 45_000, ..Batch::default() }).unwrap();
    let cli = ["x", "-", "--from", "60000", "--to", "2700000000", "--node", "a", "--step", "1m"];
    let args = Cli::try_parse_from(cli).unwrap().export;
    let mut found = Vec::new();
    struct Rows<'a>(&'a mut Vec<(i64, Option<u64>)>);
    impl Table for Rows<'_> {
        fn add(&mut self, _: &str, part: &RangeAnswer) -> anyhow::Result<()> {
            self.0.extend(table::times(part).zip(part.rx_bytes.clone()));
            Ok(())
        }
        fn finish(self: Box<Self>) -> anyhow::Result<()> {
            Ok(())
        }
    }
    let series = args.series(&mut store).unwrap();
    let rows = args.fill(&mut store, &series, &mut Rows(&mut found), &CancellationToken::new()).unwrap();
    let expected: Vec<_> =
        (1..45_000).map(|minute| (i64::from(minute) * 60_000, Some(minute as u64))).collect();
    assert_eq!(rows, 44_999);
    assert!(found == expected);
}

#[test]
fn what_cannot_be_exported_is_said_in_one_line_and_leaves_no_file() {
    for (more, line) in [
        (&["--node", "nobody"][..], "--node nobody: the history has never heard of it"),
        (&["--by", "location"], "--key: is missing: which location, provider or value"),
        (&["--by", "location", "--key", "Rome"], "--key Rome: the history has never heard of it"),
        (&["--by", "node", "--key", "x"], "--key: goes with --by location, --by provider or --by label:NAME"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let history = history(folder.path());
        let out = folder.path().join("out");
        let done = args(out.to_str().unwrap(), more).run(&history, &CancellationToken::new());
        let error = done.unwrap_err();
        assert!(error.is::<UsageError>(), "{error:?}");
        assert_eq!(error.to_string(), line);
        assert!(!out.exists() && !folder.path().join("out.part").exists());
    }
    for wrong in [
        &["x", "out", "--from", "yesterday"][..],
        &["x", "out", "--from", "-1h", "--step", "45s"],
        &["x", "out", "--from", "-1h", "--by", "name"],
        &["x", "out", "--from", "-1h", "--by", "fleet", "--node", "a"],
        &["x", "out"],
    ] {
        assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
    }
}
