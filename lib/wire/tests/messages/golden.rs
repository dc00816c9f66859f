//! The bytes of every message, pinned: other versions and other languages rely on them.

use std::{collections::BTreeMap, fmt::Debug};

use serde::{Serialize, de::DeserializeOwned};
use tidemap_wire::{
    AlertNotice, Bps, CpuMinute, ForgetReply, ForgetRequest, GroupSeconds, Hello, History,
    HistoryForgetOutcome, HistoryForgetReply, HistoryForgetRequest, Host, HostMinute, JoinAnswer, JoinAsk,
    JoinGrant, JoinRefusal, JoinReply, JoinRequest, MinuteRow, Minutes, NodeId, Pack, PackWriter,
    PartitionCount, Probe, Report, Sample, Series, SnapshotChunk, SnapshotRequest, decode, encode,
    history_query::HistorySeries, subject,
};

use crate::examples::{delta, event, hello, host, node, notice, report, row, sample, stats};

/// Compares a message with its pinned bytes in both directions. Never change the bytes; add new ones beside
/// the old.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T, pinned: &str) {
    let bytes = encode(message);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, pinned.split_whitespace().collect::<String>(), "{message:?}");
    assert_eq!(&decode::<T>(&bytes).unwrap(), message);
}

/// Pinned bytes of an older version are still read.
fn reads<T: DeserializeOwned + PartialEq + Debug>(pinned: &str, message: &T) {
    let hex: String = pinned.split_whitespace().collect();
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    assert_eq!(&decode::<T>(&bytes).unwrap(), message);
}

#[test]
fn packs() {
    let mut writer = PackWriter::default();
    assert!([&b"abc"[..], &[7; 256]].iter().all(|report| writer.push(report)));
    let bytes = writer.finish();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, format!("81a77265706f727473dc0002c403616263c50100{}", "07".repeat(256)));
    // A writer of another language may count a short array in one byte.
    let short = [b"\x81\xa7reports\x92", &bytes[12..]].concat();
    assert_eq!(decode::<Pack<'_>>(&short).unwrap(), decode::<Pack<'_>>(&bytes).unwrap());
}

#[test]
fn reports() {
    check(
        &report(),
        "83a46e6f6465b67765622d30313d32456578616d706c653d3245636f6da4626f6f7407a773616d706c65739187a37365\
         71cd012ca561745f6d73cf0000018bcfe5687baa656c61707365645f6d73cd03e9a872785f6279746573cf000000012a\
         05f200a874785f6279746573ce00011170a672785f627073cb40934a0000000000a674785f627073cb00000000000000\
         00",
    );
    let full = Sample {
        host: Some(Box::new(host())),
        interfaces: Some(vec![]),
        rx_bps: None,
        tx_bps: None,
        ..sample()
    };
    check(
        &Report { node: node(), boot: 7, hello: Some(Box::new(hello())), samples: vec![full] },
        "84a46e6f6465b67765622d30313d32456578616d706c653d3245636f6da4626f6f7407a568656c6c6f89a8686f73746e\
         616d65a67765622d3031ab696e7465726e616c5f6970a93139322e302e322e37a961646472657373657390a26f73b344\
         656269616e20474e552f4c696e7578203132ad6167656e745f76657273696f6ea5302e312e30ab696e74657276616c5f\
         6d73cd03e8a86c6f636174696f6e84a36c6174cb4047c00000000000a36c6f6ecb4020800000000000a56c6162656ca7\
         5ac3bc72696368a6736f75726365a974696d652d7a6f6e65a66c6162656c7381a47261636ba137aa696e746572666163\
         65739185a46e616d65a465746830a7636f756e746564c3a6726561736f6ea8706879736963616caa73706565645f6d62\
         7073cd2710a961646472657373657391a93139322e302e322e37a773616d706c65739187a3736571cd012ca561745f6d\
         73cf0000018bcfe5687baa656c61707365645f6d73cd03e9a872785f6279746573cf000000012a05f200a874785f6279\
         746573ce00011170aa696e746572666163657390a4686f737483ab6370755f70657263656e74cb4029000000000000b1\
         6d656d6f72795f757365645f6279746573cf0000000200000000b26d656d6f72795f746f74616c5f6279746573cf0000\
         000400000000",
    );
}

#[test]
fn host_metrics_that_came_later_follow_the_others() {
    check(
        &Host { cpu_percent: Some(12.5), tcp_retransmits: Some(300), ..Host::default() },
        "82ab6370755f70657263656e74cb4029000000000000af7463705f72657472616e736d697473cd012c",
    );
    check(
        &Host { cpu_percent: Some(12.5), container_cpu_limit: Some(0.5), ..Host::default() },
        "82ab6370755f70657263656e74cb4029000000000000b3636f6e7461696e65725f6370755f6c696d6974cb3fe0000000000000",
    );
    check(
        &Host { broker_rtt_p50_ms: Some(0.5), broker_loss_percent: Some(12.5), ..Host::default() },
        "82b162726f6b65725f7274745f7035305f6d73cb3fe0000000000000b362726f6b65725f6c6f73735f70657263656e74cb4029000000000000",
    );
}

#[test]
fn what_probes_found_follows_all_else_of_a_sample() {
    let probe = Probe {
        target: "icmp://b".to_owned(),
        sent: 6,
        lost: 1,
        median_ms: Some(0.5),
        failure: Some("why".to_owned()),
        ..Probe::default()
    };
    let bare = encode(&Sample { probes: None, ..sample() });
    let with = encode(&Sample { probes: Some(vec![probe]), ..sample() });
    assert_eq!((with[0], &with[1..bare.len()]), (bare[0] + 1, &bare[1..]));
    let hex: String = with[bare.len()..].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "a670726f6265739185a6746172676574a869636d703a2f2f62a473656e7406a46c6f737401a96d656469616e5f6d73\
         cb3fe0000000000000a76661696c757265a3776879"
    );
}

#[test]
fn deltas() {
    check(
        &delta(),
        "86a9706172746974696f6e03a565706f636809a373657101a561745f6d7305a56e6f64657391de0010a46e6f6465b677\
         65622d30313d32456578616d706c653d3245636f6da3726f7700a4626f6f74cfffffffffffffffffa6737461747573a7\
         7761726e696e67a873696e63655f6d7301a77365656e5f6d7302a561745f6d7303a7736b65775f6d73fcab696e746572\
         76616c5f6d73cd03e8a672785f627073cb3ff0000000000000a672785f61766783a3313073cb3ff8000000000000a231\
         6dcb4000000000000000a331356dcb0000000000000000a674785f61766780a872785f627974657305a874785f627974\
         657306a4686f737483ab6370755f70657263656e74cb4029000000000000b16d656d6f72795f757365645f6279746573\
         cf0000000200000000b26d656d6f72795f746f74616c5f6279746573cf0000000400000000aa696e7465726661636573\
         9183a46e616d65a465746830a672785f627073cb0000000000000000a674785f627073cb0000000000000000a9666f72\
         676f7474656e91b67765622d30313d32456578616d706c653d3245636f6d",
    );
}

#[test]
fn totals() {
    check(
        &stats(),
        "de0013a9706172746974696f6e03a565706f636809a373657101a561745f6d7305a56f776e6572a23061a66f6e6c696e\
         6502a77761726e696e6700a76f66666c696e6500a672785f627073cb0000000000000000a674785f627073cb00000000\
         00000000a672785f61766783a3313073cb3ff8000000000000a2316dcb4000000000000000a331356dcb000000000000\
         0000a674785f61766780a76170706c69656400a36c616700a773616d706c657300ad746f74616c5f73616d706c657300aa6475706c69636174657300a46c61\
         746500a77265667573656481a76761726261676504",
    );
    reads(
        "de0012a9706172746974696f6e03a565706f636809a373657101a561745f6d7305a56f776e6572a23061a66f6e6c696e\
         6502a77761726e696e6700a76f66666c696e6500a672785f627073cb0000000000000000a674785f627073cb00000000\
         00000000a672785f61766783a3313073cb3ff8000000000000a2316dcb4000000000000000a331356dcb000000000000\
         0000a674785f61766780a76170706c69656400a36c616700a773616d706c657300aa6475706c69636174657300a46c61\
         746500a77265667573656481a76761726261676504",
        &stats(),
    );
}

#[test]
fn events() {
    check(
        &event(),
        "83a46b696e64a9726573746172746564a46e6f6465b67765622d30313d32456578616d706c653d3245636f6da561745f\
         6d7305",
    );
}

#[test]
fn requests_and_answers() {
    check(&SnapshotRequest { node: None }, "80");
    check(
        &SnapshotRequest { node: Some(node()) },
        "81a46e6f6465b67765622d30313d32456578616d706c653d3245636f6d",
    );
    check(&ForgetRequest { node: node() }, "81a46e6f6465b67765622d30313d32456578616d706c653d3245636f6d");
    check(&ForgetReply { known: true, applied: None }, "81a56b6e6f776ec3");
    check(&ForgetReply { known: true, applied: Some(7) }, "82a56b6e6f776ec3a76170706c69656407");
    let series =
        |step_ms| Series { step_ms, end_ms: 6, rx_bps: vec![None, Bps::new(1.0)], tx_bps: vec![None, None] };
    let history = History { last_60s: series(1_000), last_15m: series(15_000), minutes: Minutes::default() };
    let chunk = SnapshotChunk {
        partition: 3,
        epoch: 9,
        seq: 1,
        at_ms: 5,
        chunk: 0,
        chunks: 1,
        nodes: vec![],
        history: Some(history),
    };
    check(
        &chunk,
        "88a9706172746974696f6e03a565706f636809a373657101a561745f6d7305a56368756e6b00a66368756e6b7301a56e\
         6f64657390a7686973746f727982a86c6173745f36307384a7737465705f6d73cd03e8a6656e645f6d7306a672785f62\
         707392c0cb3ff0000000000000a674785f62707392c0c0a86c6173745f31356d84a7737465705f6d73cd3a98a6656e64\
         5f6d7306a672785f62707392c0cb3ff0000000000000a674785f62707392c0c0",
    );
}

/// A report as a later version may write it: unknown fields everywhere.
#[test]
fn unknown_fields_are_ignored() {
    #[derive(Serialize)]
    struct Later {
        node: &'static str,
        boot: u64,
        colour: &'static str,
        samples: Vec<LaterSample>,
    }
    #[derive(Serialize)]
    struct LaterSample {
        seq: u64,
        at_ms: i64,
        elapsed_ms: u32,
        rx_bytes: u64,
        tx_bytes: u64,
        quality: [u8; 2],
    }
    let sample = LaterSample { seq: 1, at_ms: 2, elapsed_ms: 3, rx_bytes: 4, tx_bytes: 5, quality: [6, 7] };
    let later = Later { node: "a", boot: 1, colour: "blue", samples: vec![sample] };
    let report: Report = decode(&encode(&later)).unwrap();
    assert_eq!((report.samples[0].seq, report.samples[0].tx_bytes, report.samples[0].rx_bps), (1, 5, None));
}

/// Fields that an earlier version may leave out.
#[test]
fn fields_that_came_later_have_defaults() {
    let hello: Hello = decode(&[0x80]).unwrap();
    assert_eq!(hello, Hello::default());
    let host: Host = decode(&[0x80]).unwrap();
    assert_eq!((host.cpu_percent, host.memory_percent()), (None, None));
}

#[test]
fn impossible_rates_and_places_are_refused() {
    let with = |key: &str, value: f64| encode(&BTreeMap::from([(key, value)]));
    for bad in [f64::NAN, f64::INFINITY] {
        assert!(decode::<Host>(&with("cpu_percent", bad)).is_err());
        assert!(decode::<Host>(&with("disk_read_bps", bad)).is_err());
    }
    assert!(decode::<Host>(&with("disk_read_bps", -1.0)).is_err());
    let mut report =
        Report { node: node(), boot: 7, hello: Some(Box::new(hello())), samples: vec![sample()] };
    report.hello.as_mut().unwrap().location.as_mut().unwrap().lat = 90.5;
    assert!(decode::<Report>(&encode(&report)).is_err());
}

#[test]
fn a_request_to_forget_a_nodes_history_and_the_answers() {
    let node = NodeId::from_name("a").unwrap();
    check(&HistoryForgetRequest { node }, "81a46e6f6465a161");
    for (outcome, pinned) in [
        (HistoryForgetOutcome::Begun, "a5626567756e"),
        (HistoryForgetOutcome::Forgotten, "a9666f72676f7474656e"),
        (HistoryForgetOutcome::NotKnown, "a96e6f745f6b6e6f776e"),
        (HistoryForgetOutcome::Failed, "a66661696c6564"),
    ] {
        let reply = HistoryForgetReply { station: 7, outcome };
        check(&reply, &format!("82a773746174696f6e07a76f7574636f6d65{pinned}"));
    }
}

/// What a worker of an earlier version publishes, and a station of that version reads of a row of now.
#[test]
fn a_nodes_minutes() {
    let row = row();
    let before = "84a565706f636809a561745f6d7305a56e6f64657391b67765622d30313d32456578616d706c653d3245636f6da4\
         726f7773de0010a46e6f64659100a66d696e75746591ce01ba8140a773616d706c6573913caa636f76657265645f\
         6d7391cde9fca872785f627974657391cf000000012a05f200a874785f627974657391ce00011170a97261746573\
         5f726f779100a672785f6d617891ce05f45a60a674785f6d617891cd07d0a672785f6d696e9100a674785f6d696e\
         9101a772756e5f726f779100a872756e5f626f6f749107a972756e5f73696e636591ce01ba7d58ac72756e5f7278\
         5f627974657391cf0000010000000000ac72756e5f74785f62797465739109";
    let mut minutes = Minutes::new(9, 5);
    minutes.push(&node(), &row);
    check(&minutes, before);
    let host = HostMinute {
        cpu: Some(CpuMinute { samples: 12, mean: 123, max: 1_000 }),
        memory_max: Some(456),
        disk_max: None,
        load_max: Some(157),
    };
    let mut minutes = Minutes::new(9, 5);
    minutes.push(&node(), &MinuteRow { host, ..row });
    check(
        &minutes,
        "84a565706f636809a561745f6d7305a56e6f64657391b67765622d30313d32456578616d706c653d3245636f6da4\
         726f7773de0011a46e6f64659100a66d696e75746591ce01ba8140a773616d706c6573913caa636f76657265645f\
         6d7391cde9fca872785f627974657391cf000000012a05f200a874785f627974657391ce00011170a97261746573\
         5f726f779100a672785f6d617891ce05f45a60a674785f6d617891cd07d0a672785f6d696e9100a674785f6d696e\
         9101a772756e5f726f779100a872756e5f626f6f749107a972756e5f73696e636591ce01ba7d58ac72756e5f7278\
         5f627974657391cf0000010000000000ac72756e5f74785f62797465739109a4686f737487a3726f779100ab6370\
         755f73616d706c6573910ca86370755f6d65616e917ba76370755f6d617891cd03e8aa6d656d6f72795f6d617891\
         cd01c8a86469736b5f6d617891c0a86c6f61645f6d617891cc9d",
    );
    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Before {
        epoch: u64,
        at_ms: i64,
        nodes: Vec<NodeId>,
        rows: RowsBefore,
    }
    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct RowsBefore {
        node: Vec<u32>,
        minute: Vec<u32>,
        samples: Vec<u32>,
        covered_ms: Vec<u32>,
        rx_bytes: Vec<u64>,
        tx_bytes: Vec<u64>,
        rates_row: Vec<u32>,
        rx_max: Vec<u64>,
        tx_max: Vec<u64>,
        rx_min: Vec<u64>,
        tx_min: Vec<u64>,
        run_row: Vec<u32>,
        run_boot: Vec<u64>,
        run_since: Vec<u32>,
        run_rx_bytes: Vec<u64>,
        run_tx_bytes: Vec<u64>,
    }
    let read: Before = decode(&encode(&minutes)).unwrap();
    check(&read, before);
}

/// Stations of earlier versions see a message without rows.
#[test]
fn what_groups_moved_by_the_second() {
    let partitions = PartitionCount::default();
    let partition = partitions.partition(3).unwrap();
    let mut seconds = GroupSeconds::new(partitions, partition, 29_000_000 * 60 + 40, 2);
    seconds.push(&HistorySeries::Fleet, &[1, 300], &[0, 70_000]);
    seconds.push(&HistorySeries::Label("role".to_owned(), "db".to_owned()), &[1, 0], &[0, 7]);
    check(
        &Minutes::of_seconds((9, 5), seconds),
        "85a565706f636809a561745f6d7305a56e6f64657390a4726f7773de0010a46e6f646590a66d696e75746590\
         a773616d706c657390aa636f76657265645f6d7390a872785f627974657390a874785f627974657390a97261\
         7465735f726f7790a672785f6d617890a674785f6d617890a672785f6d696e90a674785f6d696e90a772756e\
         5f726f7790a872756e5f626f6f7490a972756e5f73696e636590ac72756e5f72785f627974657390ac72756e\
         5f74785f627974657390a77365636f6e647387aa706172746974696f6e7308a9706172746974696f6e03a766\
         697273745f73ce67b64b28a77365636f6e647302a667726f75707392a5666c65657481a56c6162656c92a472\
         6f6c65a26462a672785f627073c40801002c0101000000a674785f627073c4080000451c00000700",
    );
    assert_eq!(subject::group_seconds(partitions, partition), "tidemap.v1.history.minutes.groups.8.3");
}

#[test]
fn notices_of_alerts() {
    check(
        &notice(),
        "87a26964a23466a66368616e6765a56669726564a561745f6d73cf0000018bcfe9fcdaa472756c65
         a462757379a87365766572697479a77761726e696e67a6616c65727473918ba26964a26131a47275
         6c65a462757379a87365766572697479a77761726e696e67a674617267657484a46b696e64a46e6f
         6465a26964a67765622d3031a46e616d65a65765622d3031a66c6162656c7381a473697465a36672
         61a57374617465a6666972696e67a773756d6d617279b3646f776e6c6f616420393431204d626974
         2f73a576616c7565cb419c0b42a0000000a97468726573686f6c64cb419ad27480000000a4756e69
         74a3627073a873696e63655f6d73cf0000018bcfe56800a866697265645f6d73cf0000018bcfe9fb
         e0a5636f756e7401",
    );
    // One about a plan says more; the bytes above, of versions before, are read without it.
    let mut of_plan = notice();
    of_plan.alerts[0].resets_ms = Some(1_700_100_000_000);
    assert_eq!(decode::<AlertNotice>(&encode(&of_plan)).unwrap(), of_plan);
}

#[test]
fn joining() {
    let request = JoinRequest {
        invite: "abcd2345".to_owned(),
        ask: "{}".to_owned(),
        proof: "00".to_owned(),
        signature: "11".to_owned(),
    };
    check(
        &request,
        "84a6696e76697465a86162636432333435a361736ba27b7da570726f6f66a23030a97369676e6174757265a23131",
    );
    let answer = JoinAnswer { grant: "{}".to_owned(), proof: "00".to_owned() };
    check(&JoinReply::Granted(answer), "81a76772616e74656482a56772616e74a27b7da570726f6f66a23030");
    let refused = JoinReply::Refused { reason: JoinRefusal::Over, detail: "x".to_owned() };
    check(&refused, "81a77265667573656482a6726561736f6ea46f766572a664657461696ca178");
}

/// What is proved is text, so its letters are pinned, too.
#[test]
fn what_is_proved_when_a_node_joins() {
    let ask = JoinAsk { name: "web 01".to_owned(), key: "UA".to_owned() };
    assert_eq!(serde_json::to_string(&ask).unwrap(), r#"{"name":"web 01","key":"UA"}"#);
    let grant = JoinGrant { url: "tls://a:4222".to_owned(), ..JoinGrant::default() };
    assert_eq!(serde_json::to_string(&grant).unwrap(), r#"{"url":"tls://a:4222"}"#);
    let whole = r#"{"url":"a","authority":"PEM","labels":{"site":"fra"},"token":"eyJ","later":1}"#;
    let grant: JoinGrant = serde_json::from_str(whole).unwrap();
    assert_eq!((grant.labels["site"].as_str(), grant.token.as_deref()), ("fra", Some("eyJ")));
}
