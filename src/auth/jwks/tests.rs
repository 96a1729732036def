//! Key sets over real HTTP: rotation, outages, and sources that misbehave.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{KeySet, Pace};
use crate::auth::fetch::Source;
use crate::auth::forge::{Issuer, SECRET};
use crate::auth::token::{AuthKeys, Settings, TokenError, Verifier};

const NOW: i64 = 1_800_000_000;

/// No waiting between reads: each look that finds nothing asks the source.
const EAGER: Pace = Pace {
    refresh: Duration::from_mins(5),
    apart: Duration::ZERO,
    limit: Duration::from_secs(5),
    patience: Duration::from_secs(5),
    stale_max: Duration::from_hours(1),
};

/// A server that answers every request with the bytes it holds, and counts them.
struct Server {
    url: String,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: watch::Receiver<usize>,
    task: AbortHandle,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "a test's server; ended with it")]
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/jwks", listener.local_addr().expect("an address"));
        let answer = Arc::new(Mutex::new(Vec::new()));
        let (count, asked) = watch::channel(0);
        let bytes = Arc::clone(&answer);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let bytes = bytes.lock().expect("no panic").clone();
                // A client that hangs up early is part of the tests.
                tokio::spawn(async move { reply(socket, &bytes).await.ok() });
            }
        });
        Self { url, answer, asked, task: task.abort_handle() }
    }

    fn answers(&self, bytes: impl Into<Vec<u8>>) {
        *self.answer.lock().expect("no panic") = bytes.into();
    }

    fn publishes(&self, keys: &[Value]) {
        self.answers(http_ok(&json!({"keys": keys}).to_string()));
    }

    fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    fn verifier(&self, pace: Pace) -> Verifier {
        verifier(AuthKeys::JwksUrl(self.url.clone()), pace)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn reply(mut socket: TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut head = [0; 4096];
    let mut length = 0;
    while !head[..length].ends_with(b"\r\n\r\n") {
        match socket.read(&mut head[length..]).await? {
            0 => return Ok(()),
            more => length += more,
        }
    }
    socket.write_all(bytes).await?;
    if bytes.is_empty() || bytes.ends_with("…".as_bytes()) {
        // Silence: hold the socket until the client gives up.
        while socket.read(&mut head).await? > 0 {}
    }
    socket.shutdown().await
}

fn http_ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn verifier(keys: AuthKeys, pace: Pace) -> Verifier {
    let settings = Settings { keys, ..Settings::default() };
    Verifier::with_pace(settings, pace).expect("good settings")
}

fn claims() -> Value {
    json!({"sub": "7", "exp": NOW + 60})
}

async fn verify(verifier: &Verifier, token: &str) -> Result<(), TokenError> {
    verifier.verify(token, NOW).await.map(|_claims| ())
}

#[tokio::test]
async fn each_kind_of_key_in_a_set_verifies_its_own_algorithm() {
    let server = Server::start().await;
    let issuers = [Issuer::rsa(), Issuer::ec(), Issuer::ed(), Issuer::rsa_pss()];
    let mut keys: Vec<_> = issuers.iter().map(|it| it.jwk(it.algorithm())).collect();
    keys.push(json!({"kty": "new-kind", "kid": 7}));
    server.publishes(&keys);
    let verifier = server.verifier(EAGER);
    for issuer in &issuers {
        let named = issuer.named_token(issuer.algorithm(), &claims());
        assert_eq!(verify(&verifier, &named).await, Ok(()), "{}", issuer.algorithm());
        // Without a name: each is the only one of its algorithm.
        assert_eq!(verify(&verifier, &issuer.token(&claims())).await, Ok(()));
    }
    assert_eq!(server.asked(), 1, "a held key is not asked for again");
    // The name of one key and the signature of another.
    let crossed = issuers[1].named_token("RS256", &claims());
    assert_eq!(verify(&verifier, &crossed).await, Err(TokenError::Algorithm));
    assert_eq!(server.asked(), 1, "a wrong algorithm is no reason to ask");
}

#[tokio::test]
async fn a_set_holds_no_secrets_and_no_keys_for_other_uses() {
    let server = Server::start().await;
    let (ec, ed) = (Issuer::ec(), Issuer::ed());
    let mut sealing = ec.jwk("ec");
    sealing["use"] = json!("enc");
    let mut signing = ed.jwk("ed");
    signing["key_ops"] = json!(["sign"]);
    let mut misnamed = Issuer::rsa().jwk("rsa");
    misnamed["alg"] = json!("HS256");
    server.publishes(&[Issuer::Secret(SECRET.to_vec()).jwk("oct"), sealing, signing, misnamed]);
    let verifier = server.verifier(EAGER);
    for (issuer, kid) in [(Issuer::secret(), "oct"), (ec, "ec"), (ed, "ed"), (Issuer::rsa(), "rsa")]
    {
        let token = issuer.named_token(kid, &claims());
        assert_eq!(verify(&verifier, &token).await, Err(TokenError::UnknownKey), "{kid}");
    }
}

#[tokio::test]
async fn a_token_without_kid_needs_exactly_one_fitting_key() {
    let server = Server::start().await;
    let (first, second) = (Issuer::ec(), Issuer::ec());
    server.publishes(&[first.jwk("1"), second.jwk("2")]);
    let verifier = server.verifier(EAGER);
    let bare = first.token(&claims());
    assert_eq!(verify(&verifier, &bare).await, Err(TokenError::UnknownKey));
    assert_eq!(verify(&verifier, &first.named_token("1", &claims())).await, Ok(()));
    let crossed = first.named_token("2", &claims());
    assert_eq!(verify(&verifier, &crossed).await, Err(TokenError::Signature));
}

#[tokio::test]
async fn a_new_key_is_noticed_and_a_withdrawn_one_ends() {
    let server = Server::start().await;
    let (old, new) = (Issuer::ec(), Issuer::ed());
    let (old_token, new_token) =
        (old.named_token("old", &claims()), new.named_token("new", &claims()));
    server.publishes(&[old.jwk("old")]);
    let verifier = server.verifier(EAGER);
    assert_eq!(verify(&verifier, &old_token).await, Ok(()));
    assert_eq!(verify(&verifier, &new_token).await, Err(TokenError::UnknownKey));
    server.publishes(&[new.jwk("new")]);
    assert_eq!(verify(&verifier, &new_token).await, Ok(()));
    assert_eq!(verify(&verifier, &old_token).await, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn a_key_that_changes_its_algorithm_is_noticed_when_its_set_is_old() {
    let server = Server::start().await;
    let (old, new) = (Issuer::ec(), Issuer::ed());
    server.publishes(&[old.jwk("k")]);
    let fresh = server.verifier(EAGER);
    let stale = server.verifier(Pace { refresh: Duration::ZERO, ..EAGER });
    for verifier in [&fresh, &stale] {
        assert_eq!(verify(verifier, &old.named_token("k", &claims())).await, Ok(()));
    }
    server.publishes(&[new.jwk("k")]);
    let token = new.named_token("k", &claims());
    assert_eq!(verify(&fresh, &token).await, Err(TokenError::Algorithm));
    assert_eq!(server.asked(), 2, "a fresh set is not asked for again");
    assert_eq!(verify(&stale, &token).await, Ok(()));
}

#[tokio::test]
async fn a_held_key_is_checked_again_when_its_set_is_old() {
    let server = Server::start().await;
    let issuer = Issuer::ec();
    let token = issuer.named_token("k", &claims());
    server.publishes(&[issuer.jwk("k")]);
    // Old at once.
    let verifier = server.verifier(Pace { refresh: Duration::ZERO, ..EAGER });
    assert_eq!(verify(&verifier, &token).await, Ok(()));
    server.publishes(&[]);
    assert_eq!(verify(&verifier, &token).await, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn unknown_names_do_not_flood_the_source() {
    let server = Server::start().await;
    let issuer = Issuer::ec();
    server.publishes(&[issuer.jwk("k")]);
    let verifier = server.verifier(Pace { apart: Duration::from_mins(10), ..EAGER });
    for number in 0..50 {
        let token = issuer.named_token(&format!("guess-{number}"), &claims());
        assert_eq!(verify(&verifier, &token).await, Err(TokenError::UnknownKey));
    }
    assert_eq!(server.asked(), 1);
    assert_eq!(verify(&verifier, &issuer.named_token("k", &claims())).await, Ok(()));
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_read() {
    let server = Server::start().await;
    let issuer = Issuer::ec();
    server.publishes(&[issuer.jwk("k")]);
    let verifier = server.verifier(Pace { apart: Duration::from_mins(10), ..EAGER });
    let token = issuer.named_token("k", &claims());
    let all = (0..20).map(|_| verify(&verifier, &token));
    for result in futures::future::join_all(all).await {
        assert_eq!(result, Ok(()));
    }
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn who_asks_and_hangs_up_does_not_end_the_read() {
    let server = Server::start().await;
    server.publishes(&[Issuer::ec().jwk("k")]);
    let source = Source::url(&server.url).expect("an address");
    let set = KeySet::new(source, Pace { apart: Duration::from_mins(10), ..EAGER });
    drop(futures::poll!(Box::pin(set.warm())));
    let is_read = async {
        while set.0.state.lock().expect("no panic").read_at.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), is_read).await.expect("read with nobody waiting");
}

#[tokio::test]
async fn an_outage_of_the_source_is_survived_for_a_bounded_time() {
    let server = Server::start().await;
    let issuer = Issuer::ec();
    let token = issuer.named_token("k", &claims());
    let pace = Pace { refresh: Duration::ZERO, ..EAGER };
    let (long, short) =
        (server.verifier(pace), server.verifier(Pace { stale_max: Duration::ZERO, ..pace }));
    let never = server.verifier(pace);
    server.publishes(&[issuer.jwk("k")]);
    long.warm().await.expect("the source answers");
    short.warm().await.expect("the source answers");
    for outage in [
        "HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnot a set",
        "HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"keys\":[]}",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        server.answers(outage);
        assert_eq!(verify(&long, &token).await, Ok(()), "{outage}");
        assert_eq!(verify(&short, &token).await, Err(TokenError::KeysUnavailable));
        let refused = verify(&never, &token).await.expect_err("no key was ever read");
        assert!(refused.is_transient());
    }
    server.publishes(&[issuer.jwk("k")]);
    assert_eq!(verify(&short, &token).await, Err(TokenError::KeysUnavailable), "old at once");
    assert_eq!(verify(&never, &token).await, Ok(()));
}

#[tokio::test]
async fn a_source_that_misbehaves_is_not_believed() {
    let (server, other) = (Server::start().await, Server::start().await);
    let issuer = Issuer::ec();
    let token = issuer.named_token("k", &claims());
    other.publishes(&[issuer.jwk("k")]);
    let set = json!({"keys": [issuer.jwk("k")]}).to_string();
    let huge = format!("{set}{}", " ".repeat(70_000));
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{huge}\r\n0\r\n\r\n",
        huge.len()
    );
    let redirect = |status: u16| {
        format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {}\r\ncontent-length: {}\r\n\r\n{set}",
            other.url,
            set.len()
        )
    };
    for answer in
        [redirect(301), redirect(302), redirect(307), redirect(308), http_ok(&huge), chunked]
    {
        server.answers(answer);
        let refused = verify(&server.verifier(EAGER), &token).await;
        assert_eq!(refused, Err(TokenError::KeysUnavailable));
    }
    assert_eq!(other.asked(), 0, "a redirect is not followed");
}

#[tokio::test]
async fn a_slow_source_costs_its_limit_and_no_more() {
    let server = Server::start().await;
    let token = Issuer::ec().named_token("k", &claims());
    let verifier = server.verifier(Pace { limit: Duration::from_millis(50), ..EAGER });
    for silence in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"keys\":…"] {
        server.answers(silence);
        let result = tokio::time::timeout(Duration::from_secs(5), verify(&verifier, &token)).await;
        assert_eq!(result.expect("an answer in time"), Err(TokenError::KeysUnavailable));
    }
}

#[tokio::test]
async fn two_issuers_with_the_same_kid_do_not_sign_for_each_other() {
    let (ours, theirs) = (Server::start().await, Server::start().await);
    let (us, them) = (Issuer::ec(), Issuer::ec());
    ours.publishes(&[us.jwk("same")]);
    theirs.publishes(&[them.jwk("same")]);
    let (our, their) = (ours.verifier(EAGER), theirs.verifier(EAGER));
    let (from_us, from_them) =
        (us.named_token("same", &claims()), them.named_token("same", &claims()));
    assert_eq!(verify(&their, &from_them).await, Ok(()));
    assert_eq!(verify(&our, &from_us).await, Ok(()));
    assert_eq!(verify(&our, &from_them).await, Err(TokenError::Signature));
    assert_eq!(verify(&their, &from_us).await, Err(TokenError::Signature));
}

#[tokio::test]
async fn a_file_of_keys_is_read_and_read_again() {
    let (old, new) = (Issuer::ec(), Issuer::ec());
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    write!(file, "{}", json!({"keys": [old.jwk("1")]})).expect("written");
    let verifier = verifier(AuthKeys::JwksFile(file.path().to_owned()), EAGER);
    assert_eq!(verify(&verifier, &old.named_token("1", &claims())).await, Ok(()));
    let new_token = new.named_token("2", &claims());
    assert_eq!(verify(&verifier, &new_token).await, Err(TokenError::UnknownKey));
    std::fs::write(file.path(), json!({"keys": [new.jwk("2")]}).to_string()).expect("written");
    assert_eq!(verify(&verifier, &new_token).await, Ok(()));
}

#[tokio::test]
async fn a_missing_file_is_told_at_the_start() {
    let missing = AuthKeys::JwksFile("/nonexistent/jwks.json".into());
    assert!(verifier(missing, EAGER).warm().await.is_err());
}
