//! A server of mail that keeps what it is sent: aiosmtpd.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tidemap_broker::tls::Certificates;
use tidemap_service::child_watchdog::ChildWatchdog;
use tidemap_testkit::within;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::checkers::fetched;

const EVENT_TIMEOUT: Duration = Duration::from_secs(60);
const AIOSMTPD: &str = "aiosmtpd==1.4.6";

/// Prints its port, and then a line of JSON for each mail. Arguments: none, starttls or tls; the certificate
/// and its key.
const SMTP_SINK: &str = r#"
import asyncio, json, ssl, sys
from email import message_from_bytes, policy
from aiosmtpd.smtp import SMTP, AuthResult
mode, certificate, key = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
class Keep:
    async def handle_DATA(self, server, session, envelope):
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "data": envelope.content.decode()}
        mail["tls"] = session.ssl is not None or mode == "tls"
        mail["login"] = bool(session.authenticated)
        head = message_from_bytes(envelope.content, policy=policy.default)
        mail.update(id=head["Message-ID"], subject=head["Subject"])
        print(json.dumps(mail), flush=True)
        return "250 kept"
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        if address.startswith("later@"):
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"
def judge(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"tide", b"a-secret-of-tests"), handled=False)
def smtp():
    more = {}
    if mode == "starttls":
        more = dict(tls_context=context, require_starttls=True)
    if mode != "none":
        more.update(authenticator=judge, auth_required=True, auth_require_tls=mode == "starttls")
    return SMTP(Keep(), hostname="localhost", **more)
async def main():
    server = await asyncio.get_running_loop().create_server(smtp, "127.0.0.1", 0, ssl=context if mode == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"#;

/// A server of mail that keeps what it is sent; ended on drop.
pub(crate) struct SmtpSink {
    _child: Child,
    _watchdog: ChildWatchdog,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) port: String,
}

impl SmtpSink {
    pub(crate) async fn start(mode: &str, certificates: &Certificates) -> Self {
        let packages = fetched(&format!("{AIOSMTPD}/aiosmtpd/smtp.py")).unwrap();
        let mut child = Command::new("python3")
            .env("PYTHONPATH", packages.ancestors().nth(2).unwrap())
            .args(["-W", "ignore", "-c", SMTP_SINK, mode])
            .args([&certificates.certificate, &certificates.key])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let watchdog = ChildWatchdog::of_process(child.id().unwrap()).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = within(EVENT_TIMEOUT, lines.next_line()).await.unwrap().unwrap().unwrap();
        Self { _child: child, _watchdog: watchdog, lines, port }
    }

    pub(crate) async fn mail(&mut self) -> Value {
        let line = within(EVENT_TIMEOUT, self.lines.next_line()).await.unwrap().unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Keeps mails as they come.
    pub(crate) fn keep(self) -> Mailbox {
        let Self { _child, _watchdog, mut lines, .. } = self;
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&mails);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                kept.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Mailbox { mails, _child, _watchdog }
    }
}

/// The mails that a server has taken; ended on drop.
pub(crate) struct Mailbox {
    mails: Arc<Mutex<Vec<Value>>>,
    _child: Child,
    _watchdog: ChildWatchdog,
}

impl Mailbox {
    /// Of each mail its id and its subject, in the order of their coming.
    pub(crate) fn mails(&self) -> Vec<(String, String)> {
        let text = |mail: &Value, name: &str| mail[name].as_str().unwrap().to_owned();
        self.mails.lock().unwrap().iter().map(|mail| (text(mail, "id"), text(mail, "subject"))).collect()
    }
}
