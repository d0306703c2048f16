use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

use super::*;
use crate::signin::mail::{Mail, Mailer};

/// A mail server that takes every mail to an address of `.example`, and hands out what it got.
pub(crate) async fn mail_server() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (sender, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let (reading, mut writing) = stream.into_split();
                let mut lines = BufReader::new(reading).lines();
                let _ = writing.write_all(b"220 test\r\n").await;
                while let Ok(Some(line)) = lines.next_line().await {
                    let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
                    let answer: &[u8] = match verb.as_str() {
                        "EHLO" => b"250 test\r\n",
                        "RCPT" if !line.contains(".example>") => b"550 no such person\r\n",
                        "DATA" => {
                            let _ = writing.write_all(b"354 go on\r\n").await;
                            let mut mail = String::new();
                            while let Ok(Some(line)) = lines.next_line().await {
                                if line == "." {
                                    break;
                                }
                                mail.push_str(&line);
                                mail.push('\n');
                            }
                            sender.send(mail).unwrap();
                            b"250 taken\r\n"
                        }
                        "QUIT" => return,
                        _ => b"250 ok\r\n",
                    };
                    let _ = writing.write_all(answer).await;
                }
            });
        }
    });
    (url, received)
}

#[tokio::test]
async fn an_invitation_arrives_with_its_link() {
    let (url, mut received) = mail_server().await;
    let mailer = Mailer::new(&url, "Billing <billing@msp.example>").unwrap();
    let link = "https://rerate.msp.example/v1/invitations/accept#rri_abc";
    mailer.send(&Mail::invitation("ada@acme.example", "Acme GmbH", "eve@msp.example", link)).await.unwrap();
    let mail = received.recv().await.unwrap();
    for part in
        ["From: Billing <billing@msp.example>", "To: ada@acme.example", "Subject: Join Acme GmbH in Rerate", "eve@msp.example invites you"]
    {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    let text = mail.replace("=\n", "").replace("=3D", "=");
    assert!(text.contains(&format!("\n{link}\n")), "{mail}");
}

#[tokio::test]
async fn nothing_that_somebody_wrote_becomes_a_header() {
    let (url, mut received) = mail_server().await;
    let mailer = Mailer::new(&url, "billing@msp.example").unwrap();
    let sly = Mail::invitation("ada@acme.example", "Acme\r\nBcc: all@acme.example\r\n\r\nBuy!", "eve", "link");
    mailer.send(&sly).await.unwrap();
    let mail = received.recv().await.unwrap();
    let (head, _) = mail.split_once("\n\n").unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{mail}");
    let two = Mail { to: "ada@acme.example\r\nBcc: x@acme.example".to_owned(), ..sly };
    assert!(mailer.send(&two).await.unwrap_err().to_string().ends_with("is not an address to send mail to"));
}

#[tokio::test]
async fn a_server_that_refuses_or_is_not_there_is_told() {
    let (url, _received) = mail_server().await;
    let mail = Mail::invitation("nobody@elsewhere.test", "Acme", "eve", "link");
    let refused = Mailer::new(&url, "billing@msp.example").unwrap().send(&mail).await.unwrap_err().to_string();
    assert!(refused.starts_with("the mail server did not take the mail: ") && refused.contains("no such person"), "{refused}");
    let gone = Mailer::new("smtp://127.0.0.1:9", "billing@msp.example").unwrap().send(&mail).await.unwrap_err().to_string();
    assert!(gone.starts_with("the mail server did not take the mail: "), "{gone}");
}

#[test]
fn a_password_never_goes_in_the_clear_nor_into_a_log() {
    let refused = Mailer::new("smtp://me:s3cret@mail.example", "billing@msp.example").unwrap_err().to_string();
    assert!(refused.contains("in the clear") && !refused.contains("s3cret"), "{refused}");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    for url in ["smtps://me:s3cret@mail.example", "smtp://me:s3cret@mail.example:587?tls=required"] {
        let mailer = Mailer::new(url, "billing@msp.example").unwrap();
        assert!(!format!("{mailer:?}").contains("s3cret"));
    }
    assert!(Mailer::new("http://mail.example", "billing@msp.example").is_err());
    assert!(Mailer::new("smtp://mail.example", "not an address").is_err());
}
