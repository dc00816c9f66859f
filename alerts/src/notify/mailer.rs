//! Mail by SMTP.

use std::time::Duration;

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{self, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use tidemap_alert::channels::{Encryption, Mail, MailServer, Person};
use tidemap_service::causes::causes;

use super::{Delivered, SendFailure};

/// For a connection, and for each answer.
const TIMEOUT: Duration = Duration::from_secs(10);
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// Sends a mail.
pub(super) async fn send(mail: Mail) -> Result<Delivered, SendFailure> {
    let message = message(&mail).map_err(SendFailure::refused)?;
    let transport = transport(&mail.server).map_err(SendFailure::refused)?;
    match transport.send(message).await {
        Ok(answer) => {
            let text: Vec<_> = answer.message().collect();
            Ok(Delivered {
                answer: one_line(&format!("the answer is {}: {}", answer.code(), text.join(" "))),
            })
        }
        // What a server cannot do, such as STARTTLS, it cannot do later either.
        Err(error) if error.is_permanent() || error.is_client() => Err(SendFailure::refused(said(&error))),
        Err(error) => Err(SendFailure::retry(said(&error))),
    }
}

/// An error with its causes, in one line.
fn said(error: &lettre::transport::smtp::Error) -> String {
    one_line(&causes(error).to_string())
}

fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn transport(server: &MailServer) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let tls = || TlsParameters::new(server.host.clone()).map_err(|error| error.to_string());
    let tls = match server.encryption {
        Encryption::StartTls => Tls::Required(tls()?),
        Encryption::Tls => Tls::Wrapper(tls()?),
        Encryption::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
        .port(server.port)
        .tls(tls)
        .timeout(Some(TIMEOUT));
    if let Some((user, password)) = &server.login {
        builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
    }
    Ok(builder.build())
}

/// The mail with its headers. lettre encodes what is not ASCII, and ends of lines were removed before.
fn message(mail: &Mail) -> Result<Message, String> {
    let id = format!("<{}>", mail.message_id);
    let thread = format!("<{}>", mail.thread);
    let mut builder = Message::builder()
        .from(mailbox(&mail.from)?)
        .subject(mail.subject.as_str())
        .message_id(Some(id))
        .in_reply_to(thread.clone())
        .references(thread)
        // Without it, a reader may show the encoded text.
        .header(header::MIME_VERSION_1_0)
        .header(header::ContentType::TEXT_PLAIN)
        // RFC 3834: nobody who is away answers.
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()));
    for person in &mail.to {
        builder = builder.to(mailbox(person)?);
    }
    builder.body(mail.body.clone()).map_err(|error| error.to_string())
}

fn mailbox(person: &Person) -> Result<Mailbox, String> {
    let address: Address =
        person.address.parse().map_err(|_| format!("{} is no address of mail", person.address))?;
    Ok(Mailbox::new(person.name.clone(), address))
}

#[cfg(test)]
mod tests {
    use tidemap_alert::{
        AlertFile,
        channels::{Outgoing, Values, test_notice},
    };
    use tidemap_wire::AlertChange;

    use super::*;

    /// Names of headers, each with its value unfolded.
    fn headers(mail: &str) -> Vec<(String, String)> {
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        let lines = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        lines
            .lines()
            .map(|line| line.split_once(": ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap())
            .collect()
    }

    #[test]
    fn a_name_cannot_add_a_header_or_a_line() {
        let file = "[[channel]]\nname = \"c\"\ntype = \"smtp\"\nhost = \"h\"\nfrom = \"T <t@x.example>\"\n\
                    to = [\"Ä, \\\"B\\\" <a@x.example>\"]";
        let refused = AlertFile::parse(file).unwrap_err().to_string();
        assert!(refused.contains("to: must be addresses"), "{refused}");
        let file = file.replace("Ä, ", "Ä ");
        let channels = AlertFile::parse(&file).unwrap().channels;
        let channel = channels.named("c").unwrap();
        let mut values = Values::default();
        for (name, setting) in channel.settings() {
            let tidemap_alert::channels::Setting::Given(text) = setting else { panic!("{name}") };
            values.set(name, text.clone());
        }
        for name in [
            "a\r\nBcc: c@d.example\r\n\r\nbody",
            "=?utf-8?q?x?= \u{202e}😀<b>\"'",
            "\r\n.\r\nQUIT\r\n",
            &"long ".repeat(400),
            &"é".repeat(900),
        ] {
            let mut notice = test_notice("c", 0);
            notice.change = AlertChange::Fired;
            for text in [&mut notice.id, &mut notice.rule] {
                *text = name.to_owned();
            }
            for alert in &mut notice.alerts {
                for text in [&mut alert.id, &mut alert.target.name, &mut alert.summary] {
                    *text = name.to_owned();
                }
            }
            let Outgoing::Mail(mail) = channel.outgoing(&values, &notice, channels.style()).unwrap() else {
                panic!("a request")
            };
            let sent = String::from_utf8(message(&mail).unwrap().formatted()).unwrap();
            assert!(sent.is_ascii() && !sent.replace("\r\n", "").contains(['\r', '\n']), "{sent}");
            let mut names: Vec<_> = headers(&sent).into_iter().map(|(name, _)| name).collect();
            names.sort_unstable();
            let expected = [
                "Auto-Submitted",
                "Content-Transfer-Encoding",
                "Content-Type",
                "Date",
                "From",
                "In-Reply-To",
                "MIME-Version",
                "Message-ID",
                "References",
                "Subject",
                "To",
            ];
            assert_eq!(names, expected, "{sent}");
        }
    }
}
