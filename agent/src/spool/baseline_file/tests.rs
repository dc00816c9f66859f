use std::time::Duration;

use tidemap_testkit::eventually;

use super::*;
use crate::{baseline::Stand, meter::Moved};

const TIMEOUT: Duration = Duration::from_secs(30);

fn baseline(rx_bytes: u64) -> Baseline {
    let sums = Moved { rx_bytes, tx_bytes: 3 };
    let kernel_boot = "d1".to_owned();
    let stand = Stand { kernel_boot, uptime_ms: 9, sums, contained: Moved::default(), devices: Vec::new() };
    Baseline { run: 7, follows: None, stand }
}

#[tokio::test]
async fn it_is_replaced_in_the_background_and_nobody_else_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = BaselineFile::new(&folder.path().join("spool"));
    assert_eq!(file.read(), Ok(None));
    file.begin(&baseline(1)).unwrap();
    assert_eq!(file.read(), Ok(Some(baseline(1))));
    eventually(TIMEOUT, async || {
        file.keep(baseline(2));
        anyhow::ensure!(file.read() == Ok(Some(baseline(2))));
        Ok(())
    })
    .await
    .unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file.path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = BaselineFile::new(&folder.path().join("spool"));
    fs::create_dir(&file.path).unwrap();
    assert_eq!(file.read(), Err("not a file".to_owned()));
    assert!(file.begin(&baseline(1)).is_err());
    file.keep(baseline(2));
    let good = bytes_of(&baseline(1));
    assert_eq!(parse(&good), Ok(baseline(1)));
    for (bytes, why) in [
        (&good[..10], "it is of another version or kind"),
        (&good[..20], "it is damaged"),
        (&good[..good.len() - 1], "it is damaged"),
        (b"tidemap-baseline 2\nxxxx", "it is of another version or kind"),
    ] {
        assert_eq!(parse(bytes), Err(why.to_owned()));
    }
}

#[test]
fn files_of_this_version_and_of_one_with_more_fields_are_read() {
    let lines: Vec<Vec<u8>> = include_str!("pinned.hex")
        .lines()
        .map(|line| {
            let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
            let body: Vec<u8> = (0..line.len()).step_by(2).map(byte).collect();
            [MAGIC, &body].concat()
        })
        .collect();
    let ours = parse(&lines[0]).unwrap();
    assert_eq!(bytes_of(&ours), lines[0]);
    assert_eq!((ours.run, ours.follows.map(|id| (id.run, id.seq))), (7, Some((6, 5))));
    assert_eq!(parse(&lines[1]), Ok(ours));
}
