//! Connecting to a real server with TLS, in every mode of libpq's.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod server;

use std::{future::poll_fn, time::Duration};

use pgfeed::source::connect::{ConnectError, Target};
use server::Server;
use tokio::net::TcpListener;
use tokio_postgres::{AsyncMessage, Client};

const NOTHING: &dyn Fn(&str) -> Option<String> = &|_| None;

/// Opens a session and has it driven until the client goes.
async fn connect(url: &str) -> Result<Client, ConnectError> {
    let (client, connection) = Target::parse(url, NOTHING)?.connect(&[]).await?;
    #[expect(clippy::disallowed_methods, reason = "ends with the client")]
    tokio::spawn(connection);
    Ok(client)
}

async fn text(client: &Client, query: &str) -> String {
    client.query_one(query, &[]).await.unwrap().get(0)
}

/// `over TLS`, `in the clear`, or the innermost reason for which there was no session.
async fn outcome(url: &str) -> String {
    match connect(url).await {
        Ok(client) => {
            let query = "select case when ssl then 'over TLS' else 'in the clear' end \
                         from pg_stat_ssl where pid = pg_backend_pid()";
            text(&client, query).await
        }
        Err(error) => {
            let mut reason: &dyn std::error::Error = &error;
            while let Some(source) = reason.source() {
                reason = source;
            }
            reason.to_string()
        }
    }
}

#[tokio::test]
async fn a_real_server_is_reached_as_libpq_would() {
    let mut server = Server::start().await;
    each_mode_encrypts_and_checks_as_in_libpq(&server).await;
    a_refusal_tells_whether_to_come_back(&server).await;
    the_first_server_that_will_do_is_taken(&server).await;
    sessions_get_their_settings_and_notifications(&server).await;
    server.become_standby().await;
    a_standby_is_taken_only_where_it_is_asked_for(&server).await;
}

async fn each_mode_encrypts_and_checks_as_in_libpq(server: &Server) {
    let authority = server.path("authority.crt");
    let stranger = server.path("stranger.crt");
    let itself = server.path("server.crt");
    let (right, wrong) = (authority.display(), stranger.display());
    let pinned = itself.display();
    for (user, words, expected) in [
        ("either", "sslmode=disable".to_owned(), "in the clear"),
        ("either", "sslmode=allow".to_owned(), "in the clear"),
        ("either", "sslmode=prefer".to_owned(), "over TLS"),
        ("either", String::new(), "over TLS"),
        ("either", "sslmode=require".to_owned(), "over TLS"),
        ("only_tls", "sslmode=disable".to_owned(), "no encryption"),
        ("only_tls", "sslmode=allow".to_owned(), "over TLS"),
        ("only_plain", "sslmode=prefer".to_owned(), "in the clear"),
        ("only_plain", "sslmode=require".to_owned(), "SSL encryption"),
        ("either", format!("sslmode=require sslrootcert={right}"), "over TLS"),
        ("either", format!("sslmode=require sslrootcert={wrong}"), "UnknownIssuer"),
        ("either", format!("sslmode=prefer sslrootcert={wrong}"), "in the clear"),
        ("either", format!("sslmode=verify-ca sslrootcert={right}"), "over TLS"),
        ("either", format!("sslmode=verify-ca sslrootcert={wrong}"), "UnknownIssuer"),
        ("either", format!("sslmode=verify-full sslrootcert={right}"), "over TLS"),
        ("either", format!("sslmode=verify-full sslrootcert={pinned}"), "over TLS"),
        ("either", format!("sslmode=verify-full sslrootcert={wrong}"), "UnknownIssuer"),
        ("either", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
        ("either", "sslrootcert=system".to_owned(), "UnknownIssuer"),
        ("either", "sslmode=require channel_binding=require".to_owned(), "over TLS"),
        ("either", "sslmode=require ssl_min_protocol_version=TLSv1.3".to_owned(), "over TLS"),
    ] {
        let place = format!("host=localhost hostaddr=127.0.0.1 port={}", server.port());
        let url = format!("{place} user={user} password=right dbname=postgres {words}");
        let seen = outcome(&url).await;
        assert!(seen.contains(expected), "{user} {words}: {seen}");
    }
    // The certificate is for `localhost`: another name is for verify-full alone to refuse.
    for (mode, root, expected) in [
        ("verify-ca", &authority, "over TLS"),
        ("verify-full", &authority, "not valid for name"),
        ("verify-ca", &itself, "over TLS"),
        ("verify-full", &itself, "not valid for name"),
    ] {
        let url = format!(
            "postgres://either:right@127.0.0.1:{}/postgres?sslmode={mode}&sslrootcert={}",
            server.port(),
            root.display(),
        );
        let seen = outcome(&url).await;
        assert!(seen.contains(expected), "{mode} {}: {seen}", root.display());
    }
}

async fn a_refusal_tells_whether_to_come_back(server: &Server) {
    let port = server.port();
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let gone_port = gone.local_addr().unwrap().port();
    drop(gone);
    for (url, is_transient) in [
        (format!("postgres://either:wrong@127.0.0.1:{port}/postgres"), false),
        (format!("postgres://either:right@127.0.0.1:{port}/missing"), false),
        (format!("postgres://nobody:right@127.0.0.1:{port}/postgres"), false),
        (format!("postgres://either@127.0.0.1:{port}/postgres"), false),
        (format!("postgres://either:right@127.0.0.1:{port}/postgres?sslmode=verify-full"), false),
        (format!("postgres://either:right@127.0.0.1:{gone_port}/postgres"), true),
        ("host=/nowhere user=either".to_owned(), true),
        // It accepts and says nothing: the handshake is limited too, not only the connect.
        (
            format!("postgres://either:right@127.0.0.1:{silent_port}/postgres?connect_timeout=1"),
            true,
        ),
    ] {
        let error = connect(&url).await.map(|_| ()).unwrap_err();
        assert_eq!(error.is_transient(), is_transient, "{url}: {error:?}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("right") && !shown.contains("wrong"), "{shown}");
    }
}

async fn the_first_server_that_will_do_is_taken(server: &Server) {
    let port = server.port();
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let url = format!(
        "host=/nowhere,127.0.0.1,127.0.0.1 port=1,{silent_port},{port} \
         user=either password=right dbname=postgres connect_timeout=1"
    );
    assert_eq!(outcome(&url).await, "over TLS");
    let read_only = "options='-c default_transaction_read_only=on'";
    let one = format!("host=127.0.0.1 port={port} user=either password=right dbname=postgres");
    let wanted = format!("{one} {read_only} target_session_attrs=read-write");
    let error = connect(&wanted).await.map(|_| ()).unwrap_err();
    assert!(error.is_transient(), "a standby may be promoted: {error:?}");
    assert!(outcome(&wanted).await.contains("read-only"));
    for url in [
        format!("{one} target_session_attrs=read-write"),
        format!("{one} {read_only} target_session_attrs=primary"),
        format!("{one} {read_only}"),
    ] {
        assert_eq!(outcome(&url).await, "over TLS", "{url}");
    }
}

async fn a_standby_is_taken_only_where_it_is_asked_for(server: &Server) {
    let port = server.port();
    let one = format!("host=127.0.0.1 port={port} user=either password=right dbname=postgres");
    assert_eq!(outcome(&one).await, "over TLS");
    let two = format!("{one} host=127.0.0.1,localhost");
    for url in [format!("{one} target_session_attrs=primary"), two] {
        let error = connect(&url).await.map(|_| ()).unwrap_err();
        assert!(error.is_transient(), "it may be promoted: {error:?}");
        assert!(outcome(&url).await.contains("the server is a standby"), "{url}");
    }
}

async fn sessions_get_their_settings_and_notifications(server: &Server) {
    let url = format!("postgres://either:right@127.0.0.1:{}/postgres", server.port());
    let target = Target::parse(&url, NOTHING).unwrap();
    let options = [("statement_timeout", "4321"), ("application_name", "pgfeed test")];
    let pool = target.pool(2, &options);
    let client = pool.get().await.unwrap();
    assert_eq!(text(&client, "select current_setting('statement_timeout')").await, "4321ms");
    assert_eq!(text(&client, "select current_setting('application_name')").await, "pgfeed test");
    client.batch_execute("reset all").await.unwrap();
    assert_eq!(text(&client, "select current_setting('statement_timeout')").await, "4321ms");

    let (listener, mut connection) = target.connect(&options).await.unwrap();
    let listening = listener.batch_execute("listen heard");
    tokio::pin!(listening);
    let drive = async {
        loop {
            match poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notification(it))) => return it.payload().to_owned(),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let tell = async {
        listening.await.unwrap();
        client.batch_execute("notify heard, 'said'").await.unwrap();
    };
    let both = async { tokio::join!(drive, tell).0 };
    let heard = tokio::time::timeout(Duration::from_secs(5), both).await;
    assert_eq!(heard.unwrap(), "said");
    assert!(pool.status().size == 1);
}
