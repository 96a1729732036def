//! Tokens over the wire: how they are carried, which are refused, and that none is ever printed.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tokio::time::Duration;

use crate::support::{
    client::Heard,
    database::Database,
    follower::Way,
    gateway::{Gateway, Settings},
    reader::Reader,
    tokens::{Issuer, SECRET, forged, token, token_for},
    wait::{PATIENCE, eventually},
    witness::Witness,
};

const POLICY: &str = "[tables.\"public.notes\"]\nread = \"authenticated\"\n";

async fn scene() -> (Database, Gateway) {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("ACCESS__DEFAULT", "nobody");
    let settings = settings.with("AUTH__AUDIENCE", "us").with("AUTH__ISSUER", "issuer");
    let settings = settings.with("TELEMETRY__LEVEL", "trace").with("AUTH__JWT_SECRET", SECRET);
    let gateway = settings.with_file(POLICY).start().await;
    gateway.ready().await;
    (database, gateway)
}

fn claims(changes: &Value) -> Value {
    let exp = jiff::Timestamp::now().as_second() + 600;
    let mut claims = json!({"sub": "ann", "aud": "us", "iss": "issuer", "exp": exp});
    for (name, value) in changes.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    claims
}

/// What an attacker may send in the place of a good token.
fn bad_tokens() -> Vec<(&'static str, String)> {
    let hs256 = json!({"alg": "HS256", "typ": "JWT"});
    let key = SECRET.as_bytes();
    let good = claims(&Value::Null);
    let now = jiff::Timestamp::now().as_second();
    let header = |header: Value| forged(&header, &good, key);
    let claim = |changes: Value| forged(&hs256, &claims(&changes), key);
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let unsigned = format!("{}.{}.", part(&json!({"alg": "none"})), part(&good));
    let whole = forged(&hs256, &good, key);
    let (signed, tag) = whole.rsplit_once('.').expect("three parts");
    let swapped = format!("{}.{}.{tag}", part(&hs256), part(&claims(&json!({"sub": "root"}))));
    vec![
        ("nothing of a token", "x".to_owned()),
        ("empty", String::new()),
        ("alg none", unsigned),
        ("alg none, signed", header(json!({"alg": "none"}))),
        ("alg NONE", header(json!({"alg": "NONE"}))),
        ("alg of another kind of key", header(json!({"alg": "RS256"}))),
        ("alg of the same kind", header(json!({"alg": "HS512"}))),
        (
            "its own key",
            forged(&json!({"alg": "HS256", "jwk": {"kty": "oct", "k": "eA"}}), &good, b"x"),
        ),
        ("a kid that is a path", forged(&json!({"alg": "HS256", "kid": "/dev/null"}), &good, b"")),
        ("crit", header(json!({"alg": "HS256", "crit": ["x"], "x": 1}))),
        ("another key", forged(&hs256, &good, b"another secret of thirty-two bytes")),
        ("no signature", format!("{signed}.")),
        ("another's payload", swapped),
        ("expired", claim(json!({"exp": now - 1}))),
        ("exp as text", claim(json!({"exp": (now + 600).to_string()}))),
        ("exp null", claim(json!({"exp": null}))),
        ("exp in milliseconds", claim(json!({"exp": (now + 600) * 1_000}))),
        ("not yet", claim(json!({"nbf": now + 600}))),
        ("another audience", claim(json!({"aud": "them"}))),
        ("another issuer", claim(json!({"iss": ["issuer", "other"]}))),
        ("too long", claim(json!({"pad": "x".repeat(9_000)}))),
    ]
}

#[tokio::test]
async fn a_bad_token_closes_the_connection_however_it_comes() {
    let (_database, gateway) = scene().await;
    for (what, bad) in bad_tokens() {
        let bearer = format!("Bearer {bad}");
        let mut witness = Witness::connect(
            gateway.address(),
            "changes/?table=notes",
            &[("authorization", &bearer)],
        )
        .await
        .expect("is accepted, so that a browser sees the code");
        assert_eq!(witness.code().await, 4401, "{what}");
        assert!(!witness.saw("subscribed"), "{what}");
        let mut witness =
            Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
        witness.ask(&json!({"type": "auth", "token": bad})).await;
        assert_eq!(witness.code().await, 4401, "{what} as a message");
        assert!(!witness.saw("authenticated"), "{what}");
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_read_that_needs_one() {
    let (_database, gateway) = scene().await;
    let mut witness = Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
    let refused = witness.subscribe("notes", &Value::Null).await;
    assert_eq!(refused["code"], "unauthorized");
    // A subscription that was refused does not come to life by itself.
    let good = forged(&json!({"alg": "HS256"}), &claims(&Value::Null), SECRET.as_bytes());
    witness.ask(&json!({"type": "auth", "token": good})).await;
    witness.expect("authenticated").await;
    assert_eq!(witness.subscribe("notes", &Value::Null).await["type"], "subscribed");
}

#[tokio::test]
async fn a_token_travels_in_four_ways_and_is_printed_in_none() {
    let (_database, gateway) = scene().await;
    let address = gateway.address();
    let good = forged(&json!({"alg": "HS256"}), &claims(&Value::Null), SECRET.as_bytes());
    let bearer = format!("Bearer {good}");
    let protocols = format!("pgfeed.v1, bearer.{good}");
    let by_query = format!("changes/?token={good}");
    for (feed, headers) in [
        ("changes/", vec![("authorization", bearer.as_str())]),
        ("changes/", vec![("sec-websocket-protocol", protocols.as_str())]),
        (by_query.as_str(), vec![]),
    ] {
        let mut witness = Witness::connect(address, feed, &headers).await.expect("is accepted");
        assert_eq!(witness.subscribe("notes", &Value::Null).await["type"], "subscribed");
        assert!(!witness.saw(&good), "no token is echoed");
    }
    let mut witness = Witness::connect(address, "changes/", &[]).await.expect("is accepted");
    witness.ask(&json!({"type": "auth", "token": good})).await;
    witness.expect("authenticated").await;
    let other =
        forged(&json!({"alg": "HS256"}), &claims(&json!({"sub": "bob"})), SECRET.as_bytes());
    let feed = format!("changes/?token={other}");
    let mut two =
        Witness::connect(address, &feed, &[("authorization", &bearer)]).await.expect("is");
    assert_eq!(two.code().await, 4401, "two tokens that differ");
    for (_, bad) in bad_tokens().into_iter().filter(|(_, bad)| bad.len() > 20) {
        let feed = format!("changes/?token={bad}");
        drop(Witness::connect(address, &feed, &[]).await);
        drop(Witness::connect(address, &format!("{feed}&table=%ff"), &[]).await);
        let tag = bad.rsplit('.').next().unwrap_or_default().to_owned();
        assert!(tag.is_empty() || !gateway.output().contains(&tag), "a bad token is printed");
    }
    let output = gateway.output();
    let metrics = gateway.get("/metrics").await.expect("an answer").body;
    for said in [&output, &metrics] {
        for secret in good.split('.').chain([SECRET]) {
            let line = said.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "a token or a secret is printed");
        }
    }
    assert!(!output.contains("eyJ"), "no part of any token is printed");
}

#[tokio::test]
async fn a_key_set_is_read_again_as_often_as_the_settings_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let set = folder.path().join("keys.json");
    let publish = |text: &str| std::fs::write(&set, text).expect("a file");
    publish("no set");
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("ACCESS__DEFAULT", "authenticated");
    let settings = settings.with("AUTH__JWKS_FILE", set.to_str().expect("a path"));
    let gateway = settings.with("AUTH__JWKS_REFETCH_MIN_MS", "100").start().await;
    gateway.ready().await;
    let is_told = async || gateway.output().contains("Key set not read.");
    eventually(PATIENCE, "a word on the key set before any token came", is_told).await;
    let issuer = Issuer::new("k");
    publish(&issuer.set().to_string());
    let token = issuer.token(&claims(&Value::Null));
    let opens = async || {
        let path = format!("changes/?token={token}");
        let Ok(mut witness) = Witness::connect(gateway.address(), &path, &[]).await else {
            return false;
        };
        matches!(witness.next().await, Heard::Message(hello) if hello["type"] == "hello")
    };
    // Half of the default.
    eventually(Duration::from_secs(5), "the key to be known", opens).await;
}

#[tokio::test]
async fn a_subject_by_number_is_counted_like_one_by_name() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("AUTH__JWT_SECRET", SECRET);
    let gateway = settings.with("LIMITS__CONNECTIONS_PER_SUBJECT_MAX", "2").start().await;
    gateway.ready().await;
    for subject in [json!(7), json!("7")] {
        let token = token(&json!({"sub": subject}));
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut witness = Witness::with_token(gateway.address(), "changes/", &token).await;
            witness.expect("hello").await;
            held.push(witness);
        }
        let mut third = Witness::with_token(gateway.address(), "changes/", &token).await;
        assert_eq!(third.code().await, 4429, "{subject}");
        let mut third = Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
        third.ask(&json!({"type": "auth", "token": token})).await;
        assert_eq!(third.code().await, 4429, "{subject} later");
    }
}

#[tokio::test]
async fn a_refused_change_of_subject_leaves_no_count_behind() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("AUTH__JWT_SECRET", SECRET);
    let gateway = settings.with("LIMITS__CONNECTIONS_PER_SUBJECT_MAX", "1").start().await;
    gateway.ready().await;
    let [ann, bob] = ["ann", "bob"].map(|subject| token(&json!({"sub": subject})));
    let mut witness = Witness::with_token(gateway.address(), "changes/", &ann).await;
    witness.expect("hello").await;
    witness.ask(&json!({"type": "auth", "token": bob})).await;
    assert_eq!(witness.code().await, 4401);
    for token in [ann, bob] {
        let comes = async || {
            let mut again = Witness::with_token(gateway.address(), "changes/", &token).await;
            matches!(again.next().await, Heard::Message(_))
        };
        eventually(PATIENCE, "a place for the subject", comes).await;
    }
}

#[tokio::test]
async fn where_keys_cannot_be_had_nobody_is_told_that_their_token_is_bad() {
    let database = Database::fresh().await;
    // Nobody listens there.
    let settings =
        Settings::for_database(&database).with("AUTH__JWKS_URL", "http://127.0.0.1:1/keys");
    let gateway = settings.start().await;
    gateway.ready().await;
    let token = token(&json!({"sub": "ann"}));
    for path in ["poll", "sse", "ws"] {
        let path = format!("/{path}/changes/?table=notes&token={token}");
        let answer = gateway.get(&path).await.expect("an answer");
        let expected = if path.starts_with("/ws") { 400 } else { 503 };
        assert_eq!(answer.status, expected, "{path}: {}", answer.body);
    }
    let refused =
        Witness::connect(gateway.address(), &format!("changes/?token={token}"), &[]).await;
    assert_eq!(refused.map(|_| ()), Err(503));
    let mut witness = Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
    witness.expect("hello").await;
    witness.ask(&json!({"type": "auth", "token": token})).await;
    assert_eq!(witness.expect("error").await["code"], "unavailable");
    witness.ask(&json!({"type": "ping"})).await;
    witness.expect("pong").await;
}

#[tokio::test]
async fn a_token_that_ends_while_nobody_reads_ends_the_stream_behind_a_whole_event() {
    // Each row alone fills what a stream holds, and all of them what the kernel does.
    const FLOOD: &str = "do $$ begin for n in 1..300 loop \
                         insert into notes (id, body) values (n, repeat('x', 100000)); commit; \
                         end loop; end $$";
    let database = Database::fresh().await;
    let gateway = Settings::for_database(&database).with("AUTH__JWT_SECRET", SECRET).start().await;
    gateway.ready().await;
    let [brief, next] = [5, 600].map(|seconds| token_for(&json!({"sub": "ann"}), seconds));
    let feed = "changes/?table=notes";
    let mut reader = Reader::of(gateway.address(), Way::Sse, &brief, feed).await;
    let mut witness = Witness::with_token(gateway.address(), "changes/", &brief).await;
    database.run(FLOOD).await;
    // Its end is that of the stream, too, which is read from here on.
    assert_eq!(witness.code().await, 4401);
    assert_eq!(reader.expect("error").await["code"], "unauthorized");
    assert_eq!(reader.next().await, Err(0));
    let mut reader = reader.back(gateway.address(), Way::Sse, &next).await;
    let told = reader.next().await.expect("it goes on");
    assert_ne!(told["type"], "error", "{told}");
}
