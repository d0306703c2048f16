//! Mail through the server that the MSP names: invitations, and nothing that anybody could not also be told in person.
//!
//! A mail that cannot be sent is an answer, not a failure of what it was about: whoever asked still has the link.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

/// Somebody waits for the answer in a browser or a terminal; a mail server that is up takes a mail within a second.
const SEND_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("{0}")]
    Settings(String),
    #[error("{0:?} is not an address to send mail to")]
    Recipient(String),
    #[error("the mail server did not take the mail: {0}")]
    Sending(String),
}

/// A mail as it is written, before it has a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
}

impl Mail {
    /// Invites somebody into an organisation. The link opens once.
    pub fn invitation(to: &str, organisation: &str, inviter: &str, link: &str) -> Self {
        Self {
            to: to.to_owned(),
            subject: format!("Join {organisation} in Rerate"),
            text: format!(
                "{inviter} invites you to {organisation} in Rerate.\r\n\r\nTo accept, open this link within a week. It opens \
                 once:\r\n\r\n{link}\r\n\r\nIf you did not expect this, do nothing.\r\n"
            ),
        }
    }
}

/// Sends mail. Cheap to clone; connections are kept for the next mail.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl std::fmt::Debug for Mailer {
    /// The transport holds the server's password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Mailer {
    /// `smtps://user:password@host`, `smtp://host:587?tls=required`, or `smtp://localhost:25`; and the sender.
    pub fn new(url: &str, from: &str) -> Result<Self, MailError> {
        let from = from.parse().map_err(|error| MailError::Settings(format!("the sender {from:?} is not an address: {error}")))?;
        let parsed = url::Url::parse(url).map_err(|error| MailError::Settings(format!("the mail server's address: {error}")))?;
        let in_the_clear = parsed.scheme() == "smtp" && !parsed.query_pairs().any(|(name, value)| name == "tls" && value == "required");
        if in_the_clear && parsed.password().is_some() {
            let why = "the mail server's password would be sent in the clear; use smtps:// or add ?tls=required";
            return Err(MailError::Settings(why.to_owned()));
        }
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|error| MailError::Settings(format!("the mail server's address: {error}")))?;
        Ok(Self { transport: builder.timeout(Some(SEND_WITHIN)).build(), from })
    }

    /// Sends one mail: when this returns, the server has taken it.
    pub async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let to: Mailbox = mail.to.parse().map_err(|_| MailError::Recipient(mail.to.clone()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject.replace(['\r', '\n'], " "))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|error| MailError::Sending(error.to_string()))?;
        match tokio::time::timeout(SEND_WITHIN, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(MailError::Sending(super::fetch::with_causes(&error))),
            Err(_) => Err(MailError::Sending(format!("it took longer than {} s", SEND_WITHIN.as_secs()))),
        }
    }
}
