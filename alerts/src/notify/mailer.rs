//! Mail by SMTP.

use std::time::Duration;

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header},
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

/// Sends a mail.
pub(super) async fn send(mail: Mail) -> Result<Delivered, SendFailure> {
    let message = message(&mail).map_err(SendFailure::refused)?;
    let transport = transport(&mail.server).map_err(SendFailure::refused)?;
    match transport.send(message).await {
        Ok(answer) => {
            let text: Vec<_> = answer.message().collect();
            Ok(Delivered { answer: format!("the answer is {}: {}", answer.code(), text.join(" ")) })
        }
        Err(error) if error.is_permanent() => Err(SendFailure::refused(said(&error))),
        Err(error) => Err(SendFailure::retry(said(&error))),
    }
}

/// An error with its causes, in one line.
fn said(error: &lettre::transport::smtp::Error) -> String {
    let text = causes(error).to_string();
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(300).collect()
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
        .header(header::ContentType::TEXT_PLAIN);
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
