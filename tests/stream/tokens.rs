//! Readers that show a token (OAUTHBEARER) to a real broker.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use serde_json::json;

use super::support::{Pipeline, landing};
use crate::harness::kafka::broker;

const SECRET: &str = "correct-horse";

/// A token that the broker takes for so many seconds.
fn token(seconds: i64) -> String {
    let now = Utc::now().timestamp();
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "sub": "sluice", "iat": now.min(now + seconds) - 1, "exp": now + seconds });
    format!("{}.{}.", part(json!({ "alg": "none" })), part(claims))
}

/// An authorization server: tokens for who knows the secret, in exchange for it alone. It ends with the process.
fn authority(seconds: i64) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let issued = Arc::new(AtomicU32::new(0));
    let count = issued.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 0 && line.trim() != "" {
                let header = line.to_ascii_lowercase();
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            let fields = ["grant_type=client_credentials", "client_id=reader", "scope=kafka"];
            let known =
                body.contains(&format!("client_secret={SECRET}")) && fields.iter().all(|field| body.contains(field));
            let (status, answer) = if known {
                count.fetch_add(1, Ordering::SeqCst);
                ("200 OK", json!({ "access_token": token(seconds), "token_type": "Bearer", "expires_in": seconds }))
            } else {
                (
                    "401 Unauthorized",
                    json!({ "error": "invalid_client", "error_description": "the client is not known" }),
                )
            };
            let answer = answer.to_string();
            let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
            write!(stream, "{head}content-length: {}\r\n\r\n{answer}", answer.len()).unwrap();
        }
    });
    (url, issued)
}

fn reading(address: &str, topic: &str, identity: &str) -> Pipeline {
    landing(
        &format!(
            "[sources.events]\ntype = \"kafka\"\nbrokers = \"{address}\"\ntopics = [\"{topic}\"]\ngroup = \"{topic}\"\n\
             format = \"json\"\ncolumns = {{ id = \"int64\" }}\nsecurity = \"sasl_plaintext\"\n\
             mechanism = \"oauthbearer\"\n{identity}\n"
        ),
        "flush = { time = \"200ms\" }",
    )
}

fn oauth(url: &str) -> String {
    format!(
        "oauth = {{ token_url = \"{url}\", client_id = \"reader\", client_secret = \"env:SECRET\", scope = \"kafka\" }}"
    )
}

#[test]
fn a_token_is_asked_for_and_shown() {
    let Some(broker) = broker() else { return };
    let Some(secure) = &broker.secure else { return crate::harness::skipped("the broker takes no tokens") };
    let topic = broker.topic("tokens", 1);
    broker.write(&topic, 0, ["{\"id\":1}", "{\"id\":2}"]);
    let (url, issued) = authority(3_600);
    let pipeline = reading(&secure.tokens, &topic, &oauth(&url));
    let wrong = pipeline.run_with(&[("SECRET", "wrong-horse")]).failed(1);
    assert!(wrong.stderr.contains("no token to show to the broker"), "{wrong}");
    assert!(wrong.stderr.contains("the client is not known") && wrong.stderr.contains("check `token_url`"), "{wrong}");
    assert!(!wrong.stderr.contains("wrong-horse"), "{wrong}");
    let absent = pipeline.run();
    assert!(absent.stderr.contains("there is no secret at `env:SECRET`"), "{absent}");
    let run = pipeline.run_with(&[("SECRET", SECRET)]).ok();
    assert_eq!(run.hop("land")["rows_in"], 2, "{run}");
    assert!(issued.load(Ordering::SeqCst) > 0);
    assert!(!run.stderr.contains(SECRET) && !run.stdout.contains(SECRET), "{run}");
}

#[test]
fn a_token_that_somebody_else_renews_is_read_where_it_lies() {
    let Some(broker) = broker() else { return };
    let Some(secure) = &broker.secure else { return crate::harness::skipped("the broker takes no tokens") };
    let topic = broker.topic("tokens-file", 1);
    broker.write(&topic, 0, ["{\"id\":1}"]);
    let pipeline = reading(&secure.tokens, &topic, "token = \"file:token\"");
    let file = pipeline.lake.path().join("token");
    std::fs::write(&file, token(-60)).unwrap();
    let stale = pipeline.run().failed(1);
    assert!(stale.stderr.contains("no token to show to the broker"), "{stale}");
    std::fs::write(&file, token(600)).unwrap();
    assert_eq!(pipeline.run().ok().hop("land")["rows_in"], 1);
}

#[test]
fn a_token_that_runs_out_is_renewed_while_messages_come() {
    let Some(broker) = broker() else { return };
    let Some(secure) = &broker.secure else { return crate::harness::skipped("the broker takes no tokens") };
    let topic = broker.topic("tokens-renewed", 1);
    let (url, issued) = authority(8);
    let pipeline = reading(&secure.tokens, &topic, &oauth(&url));
    let following = pipeline.follow_with(&[("SECRET", SECRET)]);
    let mut sent = 0;
    // Tokens last eight seconds, so that some run out before the last message.
    while issued.load(Ordering::SeqCst) < 3 {
        broker.write(&topic, 0, [format!("{{\"id\":{sent}}}")]);
        sent += 1;
        pipeline.wait_for("bronze.events", "stream/land", sent);
    }
    assert_eq!(following.stop(), Some(130), "{}", pipeline.said());
}
