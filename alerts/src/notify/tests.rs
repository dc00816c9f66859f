//! Attempts over real sockets.

use std::{fs, time::Duration};

use tidemap_alert::{
    AlertFile,
    channels::{Channels, test_notice},
};
use tidemap_testkit::sink::{HttpSink, Reply};
use tokio::time::Instant;

use super::{Delivered, SendFailure, Sender, WHOLE, retry_wait, signature};

const SECRET: &str = "hunter2hunter2";

struct Scene {
    sink: HttpSink,
    folder: tempfile::TempDir,
    channels: Channels,
}

impl Scene {
    /// A sink, and channels that lead to it: `SINK` in their lines is its address.
    fn open(lines: &str) -> Self {
        let sink = HttpSink::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
        let text = lines.replace("SINK", &sink.url());
        Self { channels: AlertFile::parse(&text).unwrap().channels, sink, folder }
    }

    async fn send(&self) -> Result<Delivered, SendFailure> {
        let channel = self.channels.named("c").unwrap();
        let notice = test_notice("c", 5_000);
        Sender::new(self.folder.path()).send(channel, &notice, self.channels.style(), 1_795_957_620_999).await
    }

    /// The next attempt's failure, when the other side does this.
    async fn failure(&self, reply: Reply) -> SendFailure {
        self.sink.reply_with([reply]);
        self.send().await.unwrap_err()
    }
}

fn webhook() -> Scene {
    Scene::open(
        "[[channel]]\nname = \"c\"\nurl = \"SINK/hook/token-of-the-path\"\nsecret_file = \"secret\"\n\
                 headers = { Authorization = { file = \"secret\" } }",
    )
}

#[test]
fn the_signature_is_that_of_the_documentation() {
    let text = include_str!("../../../docs/notifications.md");
    let body = r#"{"version":1,"event":"test"}"#;
    assert!(text.contains(&format!("'1795957620.{body}' | openssl dgst -sha256 -hmac 'correct horse'")));
    let [timestamp, signature] = signature::headers("correct horse", 1_795_957_620_999, body);
    assert_eq!(timestamp.1, "1795957620");
    let hex = signature.1.strip_prefix("sha256=").unwrap();
    assert!(text.contains(&format!("SHA2-256(stdin)= {hex}\n")), "{hex}");
}

#[tokio::test]
async fn an_attempt_is_the_same_as_the_one_before_and_signed() {
    let scene = webhook();
    scene.sink.reply_with([Reply::status(500)]);
    let failed = scene.send().await.unwrap_err();
    let reason = "channel c: the answer is 500".to_owned();
    assert_eq!(failed, SendFailure::Retry { after: None, reason });
    assert_eq!(scene.send().await.unwrap().answer, "the answer is 200");
    let sent = scene.sink.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    assert_eq!((sent[0].method.as_str(), sent[0].path.as_str()), ("POST", "/hook/token-of-the-path"));
    assert_eq!(sent[0].header("idempotency-key"), Some("test-5000"));
    assert_eq!(sent[0].header("content-type"), Some("application/json"));
    assert_eq!(sent[0].header("authorization"), Some(SECRET));
    assert_eq!(sent[0].header("x-tidemap-timestamp"), Some("1795957620"));
    let [_, (_, signature)] = signature::headers(SECRET, 1_795_957_620_000, &sent[0].body);
    assert_eq!(sent[0].header("x-tidemap-signature"), Some(signature.as_str()));
    assert_eq!(sent[0].json::<serde_json::Value>().unwrap()["event"], "test");
}

#[tokio::test]
async fn what_the_other_side_does_is_judged() {
    let scene = webhook();
    let later = Reply::Status(429, vec![("retry-after", "7".to_owned())], String::new());
    let SendFailure::Retry { after, .. } = scene.failure(later).await else { panic!("refused") };
    assert_eq!(after, Some(Duration::from_secs(7)));
    let SendFailure::Retry { after: None, .. } = scene.failure(Reply::Cut).await else { panic!("refused") };
    let elsewhere = Reply::Status(302, vec![("location", "/elsewhere".to_owned())], String::new());
    for refusal in [Reply::status(404), elsewhere] {
        let failure = scene.failure(refusal).await;
        assert!(matches!(failure, SendFailure::Refused { .. }), "{failure}");
    }
    scene.sink.reply_with([Reply::Torn]);
    scene.send().await.unwrap();
    assert!(scene.sink.sent().iter().all(|sent| sent.path != "/elsewhere"));
}

#[tokio::test]
async fn an_attempt_ends_when_the_other_side_never_answers() {
    let scene = webhook();
    let start = Instant::now();
    let failure = scene.failure(Reply::Silence).await;
    assert!(matches!(failure, SendFailure::Retry { after: None, .. }), "{failure}");
    assert!(start.elapsed() < 2 * WHOLE, "{:?}", start.elapsed());
}

#[tokio::test]
async fn nothing_that_is_said_has_a_secret() {
    let scene = webhook();
    // The other side repeats all that it was sent.
    let echo = format!("no {SECRET} at {}/hook/token-of-the-path: token-of-the-path", scene.sink.url());
    let echo = |status| Reply::Status(status, Vec::new(), echo.clone());
    let mut said = Vec::new();
    for status in [400, 503] {
        said.push(scene.failure(echo(status)).await.to_string());
    }
    scene.sink.reply_with([echo(200)]);
    said.push(scene.send().await.unwrap().answer);
    said.push(scene.failure(Reply::Cut).await.to_string());
    for said in said {
        assert!(!said.contains("hunter2") && !said.contains("token-of-the-path"), "{said}");
    }
}

/// Forms of secrets that are in no setting.
#[tokio::test]
async fn what_is_made_of_a_secret_is_hidden_too() {
    let lines = "[[channel]]\nname = \"c\"\ntype = \"ntfy\"\nurl = \"SINK/topic\"\nuser = \"tide\"\n\
                 password_file = \"secret\"";
    let scene = Scene::open(lines);
    let made = data_encoding::BASE64.encode(format!("tide:{SECRET}").as_bytes());
    let echo = Reply::Status(401, Vec::new(), format!("Basic {made} is wrong"));
    let failure = scene.failure(echo).await.to_string();
    assert_eq!(failure, "channel c: the answer is 401: Basic … is wrong");
    let authorization = scene.sink.sent()[0].header("authorization").map(str::to_owned);
    assert_eq!(authorization, Some(format!("Basic {made}")));
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_named() {
    let lines = "[[channel]]\nname = \"c\"\ntype = \"slack\"\nurl_env = \"TIDEMAP_NO_SUCH_VARIABLE\"\n\
                 [heartbeat]\nurl_file = \"no-such-file\"";
    let scene = Scene::open(lines);
    let reason = "channel c: url: there is no variable TIDEMAP_NO_SUCH_VARIABLE".to_owned();
    let later = |reason: &str| SendFailure::Retry { after: None, reason: reason.to_owned() };
    assert_eq!(scene.send().await, Err(later(&reason)));
    let missing = Sender::new(scene.folder.path()).missing(&scene.channels).await;
    assert_eq!(missing.len(), 2);
    assert_eq!(missing[0], reason);
    assert!(missing[1].starts_with("heartbeat: url: ") && missing[1].contains("no-such-file"), "{missing:?}");
    // What another file says is checked when it is read, and not repeated.
    let scene = Scene::open("[[channel]]\nname = \"c\"\ntype = \"slack\"\nurl_file = \"secret\"");
    let reason = "channel c: url: cannot be read as an address".to_owned();
    assert_eq!(scene.send().await, Err(SendFailure::Refused { reason }));
}

#[tokio::test]
async fn a_heartbeat_is_a_get() {
    let scene = Scene::open("[heartbeat]\nurl = \"SINK/ping/hunter2hunter2\"");
    let sender = Sender::new(scene.folder.path());
    let heartbeat = scene.channels.heartbeat().unwrap();
    sender.beat(heartbeat).await.unwrap();
    let sent = scene.sink.sent();
    assert_eq!((sent[0].method.as_str(), sent[0].path.as_str()), ("GET", "/ping/hunter2hunter2"));
    scene.sink.reply_with([Reply::status(500)]);
    let failure = sender.beat(heartbeat).await.unwrap_err();
    assert_eq!(failure.to_string(), "heartbeat: the answer is 500");
    // A secret that is repeated where the answer is cut.
    let echo = format!("{} /ping/hunter2hunter2 is not there", "x".repeat(190));
    scene.sink.reply_with([Reply::Status(404, Vec::new(), echo)]);
    let failure = sender.beat(heartbeat).await.unwrap_err().to_string();
    assert!(failure.starts_with("heartbeat: the answer is 404: x") && !failure.contains("hun"), "{failure}");
}

#[test]
fn waits_double_up_to_thirty_seconds_unless_the_other_side_asks_for_more() {
    let waits = [1, 2, 3, 4, 5, 6, 7, 40, u32::MAX].map(|failures| retry_wait(failures, None).as_secs());
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30, 30]);
    for (after, wait) in [(0, 1), (5, 5), (90, 90), (1_000_000, 3_600)] {
        assert_eq!(retry_wait(1, Some(Duration::from_secs(after))).as_secs(), wait);
    }
}

/// Every channel's request reaches a real socket.
#[tokio::test]
async fn each_service_is_reached() {
    for (lines, path) in [
        ("type = \"ntfy\"\nserver = \"SINK\"\ntopic = \"t\"", "/"),
        (
            "type = \"telegram\"\nserver = \"SINK\"\ntoken_file = \"secret\"\nchat = 1",
            "/bothunter2hunter2/sendMessage",
        ),
        ("type = \"slack\"\nurl = \"SINK/services/A\"", "/services/A"),
        ("type = \"discord\"\nurl = \"SINK/api/webhooks/1/A\"", "/api/webhooks/1/A?wait=true"),
        ("type = \"gotify\"\nserver = \"SINK/sub\"\ntoken_file = \"secret\"", "/sub/message"),
        ("type = \"alertmanager\"\nurl = \"SINK\"", "/api/v2/alerts"),
    ] {
        let scene = Scene::open(&format!("[[channel]]\nname = \"c\"\n{lines}"));
        scene.send().await.unwrap();
        let sent = scene.sink.sent();
        assert_eq!(sent[0].path, path);
        sent[0].json::<serde_json::Value>().unwrap();
    }
}
