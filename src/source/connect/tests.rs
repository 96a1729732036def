//! The words of libpq, one by one, and what the driver gets for them.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use tempfile::TempDir;
use tokio_postgres::config::{ChannelBinding, Host, SslMode};

use super::{ConnectError, Target, dial::Wanted, endpoints::Endpoint};

/// An environment of these variables, with an empty home.
fn with(url: &str, variables: &[(&str, &str)]) -> Result<Target, ConnectError> {
    Target::parse(url, &|name| {
        variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
    })
}

fn target(url: &str) -> Target {
    with(url, &[]).unwrap()
}

fn refusal(url: &str) -> String {
    with(url, &[]).unwrap_err().to_string()
}

fn only(target: &Target) -> &Endpoint {
    assert_eq!(target.dial.endpoints.len(), 1);
    &target.dial.endpoints[0]
}

/// `user password host port database`, with `-` for what is not set.
fn summary(target: &Target) -> String {
    let config = &only(target).config;
    let password = config.get_password().map_or("-".into(), String::from_utf8_lossy);
    let host = match &config.get_hosts()[0] {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    let user = config.get_user().unwrap_or("-");
    let database = config.get_dbname().unwrap_or("-");
    format!("{user} {password} {host} {} {database}", config.get_ports()[0])
}

#[test]
fn a_string_is_read_as_libpq_reads_it() {
    for (url, expected) in [
        ("postgres://me:pw@db:6543/app", "me pw db 6543 app"),
        ("postgresql://me@db", "me - db 5432 -"),
        ("postgres://m%65:p%40w%2F@db/a%20b", "me p@w/ db 5432 a b"),
        ("postgres://me:p@w@db/app", "me p@w db 5432 app"),
        ("postgres://me:p?w@db/app", "me p?w db 5432 app"),
        ("postgres://[::1]:6543/app", "- - ::1 6543 app"),
        ("postgres://%2Fvar%2Frun/app", "- - /var/run 5432 app"),
        ("postgres:///app?host=/run&port=7&user=me&password=p%26w", "me p&w /run 7 app"),
        ("postgres://db?dbname=app", "- - db 5432 app"),
        ("host=db port=6543 user=me password='p w\\'' dbname=app", "me p w' db 6543 app"),
        ("host = db  dbname = 'a b'", "- - db 5432 a b"),
        ("host=db password=p\\ w", "- p w db 5432 -"),
        ("host=db user='' dbname=", "- - db 5432 -"),
        ("hostaddr=127.0.0.1", "- - 127.0.0.1 5432 -"),
        ("host=db hostaddr=127.0.0.1", "- - db 5432 -"),
    ] {
        assert_eq!(summary(&target(url)), expected, "{url}");
    }
}

#[test]
fn a_wrong_string_is_refused_by_word_and_never_shown() {
    for (url, told) in [
        ("mysql://db/app", "must begin with postgres://"),
        ("hunter2", "URL, or words as key=value"),
        ("host=db password='hunter2", "quote that is not closed"),
        ("postgres://me:hun/ter2@db/app", "%2F for /"),
        ("postgres://me:hunter2/x", "`port` is not a number"),
        ("postgres://me:%zz@db", "two hex digits"),
        ("postgres://[::1/app", "[ without a ]"),
        ("postgres://db?sslmode", "parameter without a value"),
        ("postgres://db?sslmod=require", "`sslmod` is not known to libpq"),
        ("postgres://db?sslmode=verify", "`sslmode` is `verify`, none of disable, allow"),
        ("postgres://db?sslmode=verify-ca", "`sslrootcert` is needed for sslmode=verify-ca"),
        ("postgres://db?sslmode=require&sslrootcert=system", "needs sslmode=verify-full"),
        ("postgres://db?sslnegotiation=direct", "needs sslmode=require"),
        ("postgres://db?sslrootcert=/nowhere/ca.pem", "cannot use /nowhere/ca.pem"),
        ("postgres://db?target_session_attrs=standby", "none of any, read-write, primary"),
        ("postgres://db?sslcrl=x", "`sslcrl` is known to libpq but not supported"),
        ("postgres://db?gssencmode=require", "can only be disable or prefer"),
        ("postgres://db?connect_timeout=soon", "`connect_timeout` is not a whole number"),
        ("host=a,b port=1,2,3", "`port` has 3 entries for 2 hosts"),
        ("host=a,b hostaddr=127.0.0.1", "`hostaddr` has 1 entries where host has 2"),
        ("hostaddr=db", "`db` is no IP address"),
        ("host=db port=0", "1 to 65535"),
        ("service=none", "`none`, which no service file has"),
    ] {
        let error = refusal(url);
        assert!(error.contains(told), "{url}\nis told as {error}");
        assert!(!error.contains("hunter2") && !error.contains("ter2"), "{error}");
        assert!(!with(url, &[]).unwrap_err().is_transient(), "{url}");
    }
}

#[test]
fn the_password_is_in_no_debug_and_no_display() {
    let target = target("postgres://me:hunter2@db,[::1]:6/app");
    assert_eq!(target.to_string(), "db:5432, [::1]:6");
    assert_eq!(format!("{target:?}"), "Target(db:5432, [::1]:6)");
    assert!(!format!("{:?}", target.pool(1, &[])).contains("hunter2"));
}

#[test]
fn times_have_libpqs_units_and_our_defaults() {
    let plain = target("host=db");
    let config = &only(&plain).config;
    assert_eq!(plain.dial.limit, Some(Duration::from_secs(5)));
    assert_eq!(config.get_application_name(), Some("pgfeed"));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(15)));
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(10));
    let set = target(
        "host=db connect_timeout=7 tcp_user_timeout=4000 keepalives_idle=1 \
         keepalives_interval=2 keepalives_count=4 channel_binding=require application_name=a",
    );
    let config = &only(&set).config;
    assert_eq!(set.dial.limit, Some(Duration::from_secs(7)));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(4)));
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(1));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(2)));
    assert_eq!(config.get_keepalives_retries(), Some(4));
    assert_eq!(config.get_channel_binding(), ChannelBinding::Require);
    assert_eq!(config.get_application_name(), Some("a"));
    assert_eq!(target("host=db connect_timeout=0").dial.limit, None);
    assert!(!only(&target("host=db keepalives=0")).config.get_keepalives());
}

#[test]
fn several_servers_are_kept_in_order_and_the_primary_is_wanted() {
    let several = target("postgres://me@a,b:6,c/app");
    let labels: Vec<_> = several.dial.endpoints.iter().map(|it| it.label.as_str()).collect();
    assert_eq!(labels, ["a:5432", "b:6", "c:5432"]);
    assert_eq!(several.dial.wanted, Wanted::Primary);
    assert_eq!(several.dial.limit_in_all(), Some(Duration::from_secs(15)));
    assert_eq!(target("host=a").dial.wanted, Wanted::Any);
    let any = target("host=a,b port=7 target_session_attrs=any load_balance_hosts=random");
    assert_eq!((any.dial.wanted, any.dial.is_random), (Wanted::Any, true));
    assert_eq!(any.dial.endpoints[1].label, "b:7");
}

#[test]
fn each_mode_has_its_attempts_and_sockets_have_no_tls() {
    use SslMode::{Disable, Prefer, Require};
    for (mode, attempts) in [
        ("disable", &[Disable][..]),
        ("allow", &[Disable, Require]),
        ("prefer", &[Prefer, Disable]),
        ("require", &[Require]),
        ("verify-full", &[Require]),
    ] {
        let over_tcp = target(&format!("host=db sslmode={mode}"));
        assert_eq!(only(&over_tcp).modes, attempts, "{mode}");
        let over_socket = target(&format!("host=/run sslmode={mode}"));
        assert_eq!(only(&over_socket).modes, [Disable], "{mode}");
    }
    assert_eq!(only(&target("postgres://db?ssl=true")).modes, [Require]);
    assert_eq!(only(&target("postgres://db?sslrootcert=system")).modes, [Require]);
}

#[test]
fn the_environment_fills_what_the_string_leaves_open() {
    let variables = [
        ("PGHOST", "env"),
        ("PGPORT", "77"),
        ("PGUSER", "envuser"),
        ("PGPASSWORD", "envpw"),
        ("PGDATABASE", "envdb"),
        ("PGSSLMODE", "require"),
        ("PGAPPNAME", "envapp"),
        ("PGCONNECT_TIMEOUT", "9"),
        ("PGOPTIONS", "-c a=b"),
    ];
    let all = with("", &variables).unwrap();
    assert_eq!(summary(&all), "envuser envpw env 77 envdb");
    assert_eq!(only(&all).modes, [SslMode::Require]);
    assert_eq!(only(&all).config.get_application_name(), Some("envapp"));
    assert_eq!(only(&all).config.get_options(), Some("-c a=b"));
    assert_eq!(all.dial.limit, Some(Duration::from_secs(9)));
    let some = with("postgres://me@db/app", &variables).unwrap();
    assert_eq!(summary(&some), "me envpw db 77 app");
    let system_user = with("host=db", &[("USER", "root")]).unwrap();
    assert_eq!(summary(&system_user), "root - db 5432 -");
    let wrong = with("host=db", &[("PGSSLCRL", "x")]).unwrap_err().to_string();
    assert!(wrong.contains("`PGSSLCRL`"), "{wrong}");
}

#[test]
fn passwords_and_services_come_from_their_files() {
    let home = TempDir::new().unwrap();
    let home_text = home.path().to_str().unwrap();
    let passfile = home.path().join(".pgpass");
    fs::write(&passfile, "db:5432:app:me:from file\nlocalhost:*:*:me:socket\n").unwrap();
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(home.path().join(".pg_service.conf"), "[live]\nhost=db\ndbname=app\n").unwrap();
    let at_home = |url: &str, more: &[(&str, &str)]| {
        with(url, &[&[("HOME", home_text)], more].concat()).unwrap()
    };
    assert_eq!(summary(&at_home("postgres://me@db/app", &[])), "me from file db 5432 app");
    assert_eq!(summary(&at_home("postgres://me:own@db/app", &[])), "me own db 5432 app");
    assert_eq!(summary(&at_home("postgres://me@db/other", &[])), "me - db 5432 other");
    assert_eq!(summary(&at_home("host=/tmp user=me", &[])), "me socket /tmp 5432 -");
    assert_eq!(summary(&at_home("service=live user=me", &[])), "me from file db 5432 app");
    let by_variable = [("PGSERVICE", "live"), ("PGHOST", "weaker"), ("PGUSER", "me")];
    assert_eq!(summary(&at_home("", &by_variable)), "me from file db 5432 app");
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o644)).unwrap();
    let open = at_home("postgres://me@db/app", &[]);
    assert_eq!(summary(&open), "me - db 5432 app");
    assert!(open.warnings()[0].contains("chmod 0600"), "{:?}", open.warnings());
}

#[test]
fn settings_of_the_session_are_added_to_its_options() {
    let target = target("host=db options='-c a=b'");
    let dial = target.dial.with_options(&[
        ("statement_timeout", "5000"),
        ("search_path", "a b\\c"),
        ("application_name", "pgfeed listener"),
    ]);
    let config = &dial.endpoints[0].config;
    let options = "-c a=b -c statement_timeout=5000 -c search_path=a\\ b\\\\c";
    assert_eq!(config.get_options(), Some(options));
    assert_eq!(config.get_application_name(), Some("pgfeed listener"));
}
