//! A sign-in provider as far as settings are looked at: its description and no keys. Nobody can sign in through it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use serde_json::json;

/// The issuer's address. It answers as long as the tests run.
pub(crate) fn issuer() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let description = json!({ "issuer": issuer, "authorization_endpoint": format!("{issuer}/begin"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys") });
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let body = if first.contains("/keys") { json!({ "keys": [] }) } else { description.clone() }.to_string();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
            let _ = write!(&stream, "{head}Connection: close\r\n\r\n{body}");
        }
    });
    issuer
}
