//! `tidemap notify test` through real parts: a server of mail with and without encryption, an Alertmanager,
//! and a sink of HTTP.

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tidemap_broker::tls::Certificates;
use tidemap_service::{child_watchdog::ChildWatchdog, clock::unix_ms};
use tidemap_testkit::{
    eventually,
    http::{get, get_json},
    port::free_port,
    process::{clean, tidemap},
    sink::{HttpSink, Reply},
    within,
};
use tokio::process::Command;

use crate::{checkers::of_package, smtp_sink::SmtpSink};

const EVENT_TIMEOUT: Duration = Duration::from_secs(60);
const PASSWORD: &str = "a-secret-of-tests";
/// A channel's name, as bad as one may be; it is in every text of a test.
const HOSTILE: &str = "é \\\"<b>&lt; 😀 @everyone";

/// Debian's Alertmanager reads templates from a folder of the system, which a package that is only unpacked
/// does not fill: in a namespace of its own it has that folder. Arguments: the program and its arguments.
const WITH_TEMPLATES: &str = r#"
templates=/usr/share/prometheus/alertmanager
if [ ! -d $templates ]; then
    mount -t tmpfs none /usr/share
    mkdir -p /usr/share/prometheus
    ln -s "${1%/usr/bin/*}$templates" $templates
fi
exec "$@"
"#;

/// A folder with an `alerts.toml`, and what else channels need.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        Self(folder)
    }

    /// Sends a test through the channel of these lines; returns the exit code, and all that was printed.
    async fn test(&self, lines: &str, authority: Option<&Path>) -> (Option<i32>, String) {
        let file = self.0.path().join("alerts.toml");
        let page = "page_url = \"https://tide.example/\"\ntime_zone = \"Europe/Berlin\"";
        std::fs::write(&file, format!("{page}\n[[channel]]\nname = \"{HOSTILE}\"\n{lines}\n")).unwrap();
        let mut command = Command::new(tidemap().unwrap());
        clean(&mut command);
        command
            .args(["notify", "test", &HOSTILE.replace("\\\"", "\""), "--log", "trace", "--alerts"])
            .arg(&file);
        if let Some(authority) = authority {
            command.env("SSL_CERT_FILE", authority);
        }
        let ended = within(EVENT_TIMEOUT, command.output()).await.unwrap().unwrap();
        (ended.status.code(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
    }
}

fn header<'a>(data: &'a str, name: &str) -> &'a str {
    let head = data.split("\r\n\r\n").next().unwrap();
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.with_context(|| format!("{name} in {head}")).unwrap()
}

#[tokio::test]
async fn mail_is_sent_with_and_without_encryption_and_never_a_password_without() {
    let secrets = tempfile::tempdir().unwrap();
    let since = Duration::from_millis(u64::try_from(unix_ms()).unwrap());
    let made = Certificates::open_or_create(secrets.path(), &["127.0.0.1".to_owned()], since).unwrap();
    let authority = made.authority.as_deref();
    let folder = Folder::new();
    let login = "user = \"tide\"\npassword_file = \"password\"";
    for (mode, login) in [("none", ""), ("starttls", login), ("tls", login)] {
        let mut sink = SmtpSink::start(mode, &made).await;
        let server =
            format!("type = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\nencryption = \"{mode}\"", sink.port);
        let lines = |to: &str| format!("{server}\n{login}\nfrom = \"Tïde <tide@x.example>\"\nto = [{to}]");
        let to = "\"noc@x.example\", \"Night <night@x.example>\"";
        let (code, said) = folder.test(&lines(to), authority).await;
        assert_eq!(code, Some(0), "{mode}: {said}");
        assert!(said.contains("(smtp): delivered; the answer is 250: kept"), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
        let mail = sink.mail().await;
        assert_eq!(mail["to"], json!(["noc@x.example", "night@x.example"]));
        assert_eq!((&mail["from"], &mail["tls"]), (&json!("tide@x.example"), &json!(mode != "none")));
        assert_eq!(mail["login"], json!(mode != "none"));
        let data = mail["data"].as_str().unwrap();
        assert!(data.is_ascii() || header(data, "Content-Transfer-Encoding") == "8bit", "{data}");
        assert!(header(data, "Message-ID").starts_with("<test-"), "{data}");
        assert_eq!(header(data, "MIME-Version"), "1.0");
        assert_eq!(header(data, "References"), header(data, "In-Reply-To"));
        assert!(header(data, "Content-Type").starts_with("text/plain; charset=utf-8"), "{data}");

        for (to, says) in [
            ("\"nobody@x.example\"", "would not be sent again"),
            ("\"later@x.example\"", "would be sent again"),
        ] {
            let (code, said) = folder.test(&lines(to), authority).await;
            assert!(code == Some(1) && said.contains(says), "{said}");
        }
        if mode == "none" {
            // A server that does not encrypt is not given anything.
            let (code, said) = folder.test(&lines(to).replace("\"none\"", "\"starttls\""), authority).await;
            assert!(code == Some(1) && said.contains("would"), "{said}");
        } else {
            // A certificate that nobody trusts.
            let (code, said) = folder.test(&lines(to), None).await;
            assert!(code == Some(1) && said.to_lowercase().contains("certificate"), "{said}");
            std::fs::write(folder.0.path().join("password"), "wrong-secret").unwrap();
            let (code, said) = folder.test(&lines(to), authority).await;
            assert!(code == Some(1) && said.contains("535") && !said.contains("wrong-secret"), "{said}");
            std::fs::write(folder.0.path().join("password"), PASSWORD).unwrap();
        }
    }
}

#[tokio::test]
async fn an_alertmanager_shows_the_test() {
    let folder = Folder::new();
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let config = folder.0.path().join("am.yaml");
    std::fs::write(&config, "{route: {receiver: none}, receivers: [{name: none}]}").unwrap();
    let log = folder.0.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let child = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-ec", WITH_TEMPLATES, "sh"])
        .arg(of_package("prometheus-alertmanager", "prometheus-alertmanager").unwrap())
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", folder.0.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let _watchdog = ChildWatchdog::of_process(child.id().unwrap()).unwrap();
    eventually(EVENT_TIMEOUT, || async {
        let ready = get(format!("http://{address}/-/ready")).await?;
        ensure!(ready.status == 200, "{}", std::fs::read_to_string(&log)?);
        Ok(())
    })
    .await
    .unwrap();
    let (code, said) = folder.test(&format!("url = \"alertmanager+http://{address}\""), None).await;
    assert_eq!(code, Some(0), "{said}");
    let shown: Value = eventually(EVENT_TIMEOUT, || async {
        let shown: Value = get_json(format!("http://{address}/api/v2/alerts")).await?;
        ensure!(shown[0].is_object(), "{shown}");
        Ok(shown)
    })
    .await
    .unwrap();
    let labels = json!({ "alertname": "test", "severity": "info", "kind": "fleet", "instance": "fleet" });
    assert_eq!((&shown[0]["labels"], &shown[0]["status"]["state"]), (&labels, &json!("active")));
    assert_eq!(shown[0]["generatorURL"], "https://tide.example/");
    let summary = shown[0]["annotations"]["summary"].as_str().unwrap();
    assert_eq!(summary, format!("Tidemap: a test of the channel {}", HOSTILE.replace("\\\"", "\"")));
}

#[tokio::test]
async fn what_the_other_side_answers_is_said_and_no_secret_is_even_at_the_log_level_trace() {
    let folder = Folder::new();
    let sink = HttpSink::start().unwrap();
    let url = format!("{}/hook/token-of-the-path", sink.url());
    let lines = format!(
        "type = \"webhook\"\nurl = \"{url}\"\nsecret_file = \"password\"\nheaders = {{ Authorization = {{ file = \"password\" }} }}"
    );
    let denied = Reply::Status(403, Vec::new(), format!("{PASSWORD} is wrong"));
    for (reply, code, says) in [
        (Reply::status(204), 0, "(webhook): delivered; the answer is 204"),
        (denied, 1, "the answer is 403: … is wrong (a notice would not be sent again"),
        (Reply::status(503), 1, "the answer is 503 (a notice would be sent again)"),
        (Reply::Cut, 1, "(a notice would be sent again)"),
    ] {
        sink.reply_with([reply]);
        let (ended, said) = folder.test(&lines, None).await;
        assert_eq!(ended, Some(code), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!said.contains(PASSWORD) && !said.contains("token-of-the-path"), "{said}");
    }
    assert_eq!(sink.sent().len(), 4);
    let telegram =
        format!("type = \"telegram\"\nserver = \"{}\"\ntoken_file = \"password\"\nchat = 1", sink.url());
    let (ended, said) = folder.test(&telegram, None).await;
    assert!(ended == Some(0) && !said.contains(PASSWORD), "{said}");
    assert_eq!(sink.sent()[4].path, format!("/bot{PASSWORD}/sendMessage"));

    let (ended, said) = folder.test("type = \"pager\"", None).await;
    assert!(ended == Some(64) && said.contains("line 5, column 8: type: must be one of"), "{said}");
}
