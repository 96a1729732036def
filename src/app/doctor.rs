//! `pgfeed doctor`: what is wrong from the database to the browser's door, and what mends it.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::Arc,
};

use super::{access, build, fitness};
use crate::{
    change::{Table, TableName},
    feed::Catalog,
    http::probe::{self, Seen, Socket},
    settings::{KeySource, Settings, access::Readers},
    source::{
        Target,
        admin::Finding,
        doctor::{self, Expected},
    },
};

/// Examines and prints; true where nothing was found.
pub async fn run(settings: &Settings, target: &Target, url: Option<&str>) -> bool {
    let expected =
        Expected { retention: settings.log.retention.0, size_max: settings.log.size_max.0 };
    let examination = doctor::examine(target, &expected).await;
    let mut findings = examination.findings;
    findings.extend(of_settings(settings, examination.catalog.as_ref()));
    findings.extend(of_keys(settings).await);
    if let Some(catalog) = &examination.catalog {
        findings.extend(of_readers(settings, catalog));
    }
    if let Some(url) = url {
        match probe::look(url).await {
            Ok(seen) => findings.extend(of_url(url, &seen)),
            Err(why) => findings.push(Finding::fail("url", why, "Mend the address.")),
        }
    }
    let is_well = print(&findings);
    say(&format!("\n{}\n", summary(&findings)));
    is_well
}

/// The last line: where there are many, the first have scrolled away.
fn summary(findings: &[Finding]) -> String {
    let count = |status: &str| findings.iter().filter(|it| it.status == status).count();
    match (count("fail"), count("warn")) {
        (0, 0) => format!("All is well: {} checks.", findings.len()),
        (fails, warns) => format!("{fails} to mend, {warns} to look at: they stand first."),
    }
}

/// Prints findings, the worst first, with what mends them; true where nothing is wrong.
pub fn print(findings: &[Finding]) -> bool {
    say(&table(findings));
    findings.iter().all(Finding::is_ok)
}

/// Prints. Who reads no further, as `head` does, is not told the rest.
fn say(text: &str) {
    if let Err(error) = io::stdout().write_all(text.as_bytes()) {
        tracing::debug!(%error, "Nobody reads the findings.");
    }
}

fn table(findings: &[Finding]) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    let place = |it: &Finding| ["fail", "warn"].iter().position(|word| *word == it.status);
    sorted.sort_by_key(|it| place(it).unwrap_or(2));
    let width = findings.iter().map(|it| it.check.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (index, it) in sorted.iter().enumerate() {
        let mut line = |status: &str, check: &str, detail: &str| {
            writeln!(text, "{status:<4}  {check:<width$}  {detail}").expect("a string takes it");
        };
        line(&it.status, &it.check, &it.detail);
        let Some(mend) = it.mend.as_ref().filter(|_| !it.is_ok()) else { continue };
        // One step that mends several is told once, behind the last of them.
        let is_last = sorted
            .get(index + 1)
            .is_none_or(|next| (&next.check, &next.mend) != (&it.check, &it.mend));
        if is_last {
            line("", "", &format!("-> {mend}"));
        }
    }
    text
}

/// Why `serve` would refuse these settings: as far as it can be said without a database, and by
/// what is in it.
fn of_settings(settings: &Settings, catalog: Option<&Catalog>) -> Vec<Finding> {
    let (policy, feeds) = (access::policy(settings), access::feeds(settings));
    let mut faults: Vec<String> = Vec::new();
    faults.extend(build::door(settings).err().map(|it| format!("{it:#}")));
    faults.extend(policy.as_ref().err().map(ToString::to_string));
    faults.extend(feeds.as_ref().err().map(ToString::to_string));
    let (policy, feeds) = (policy.unwrap_or_default(), feeds.unwrap_or_default());
    for table in catalog.into_iter().flat_map(Catalog::tables) {
        for fault in fitness::faults(&policy, &feeds, table) {
            faults.push(format!("{fault}; it has {}", names(table)));
        }
    }
    let finding = |fault| Finding::fail("settings", fault, "Mend it in the settings.");
    let mut found: Vec<Finding> = faults.into_iter().map(finding).collect();
    let Some(catalog) = catalog else { return found };
    for (table, key) in fitness::named(&policy, &feeds) {
        if catalog.named(&table).is_none() {
            let detail = format!("{key}: no table {table} is on the feed");
            let mend = format!("Mend the name in the settings, or: pgfeed watch {table}");
            found.push(Finding::fail("settings", detail, mend));
        }
    }
    if found.is_empty() {
        found.push(Finding::ok("settings", "every table, column and filter in them fits"));
    }
    found
}

fn names(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    names.join(", ")
}

/// Whether the issuer's keys can be read.
async fn of_keys(settings: &Settings) -> Option<Finding> {
    let source = match settings.auth.key_source()? {
        KeySource::JwksUrl(url) => url,
        KeySource::JwksFile(file) => file.display().to_string(),
        KeySource::Secret(_) | KeySource::PublicKeyFile(_) => return None,
    };
    // What is wrong with the settings themselves is told among them.
    let verifier = build::verifier(settings).ok()?;
    Some(match verifier.warm().await {
        Ok(()) => Finding::ok("keys", format!("{} was read", without_query(&source))),
        Err(error) => {
            let detail = format!("{} was not read: {error}", without_query(&source));
            Finding::fail(
                "keys",
                detail,
                "Tokens are refused until it is; see auth in the settings.",
            )
        }
    })
}

/// A query may hold a secret.
fn without_query(address: &str) -> &str {
    address.split('?').next().unwrap_or_default()
}

/// Whether anybody may read what is on the feed: by default nobody may, and where no key is set
/// nobody with a token either.
fn of_readers(settings: &Settings, catalog: &Catalog) -> Option<Finding> {
    catalog.tables().next()?;
    let has_key = settings.auth.key_source().is_some();
    let is_open = |readers: &Readers| match readers {
        Readers::Nobody => false,
        Readers::Anyone => true,
        Readers::Authenticated | Readers::Roles(_) => has_key,
    };
    let policy_of = |table: &Table| {
        let mut policies = settings.tables.iter();
        policies.find(|(written, _)| TableName::parse(written) == table.name).map(|it| it.1)
    };
    let is_closed = |table: &&Arc<Table>| match policy_of(table) {
        Some(it) => !is_open(&it.read) && !it.grants.iter().any(|grant| is_open(&grant.read)),
        None => !is_open(&settings.access.default),
    };
    let mut closed: Vec<String> =
        catalog.tables().filter(is_closed).map(|table| table.name.to_string()).collect();
    closed.sort();
    let Some(first) = closed.first() else {
        return Some(Finding::ok("readers", "each table on the feed is open to somebody"));
    };
    let detail = format!("nobody may read {}", closed.join(", "));
    let mend = if has_key {
        format!("In the settings: [tables.\"{first}\"] read = \"authenticated\"")
    } else {
        format!(
            "In the settings: [auth] jwt_secret, and [tables.\"{first}\"] read = \"authenticated\""
        )
    };
    Some(Finding::warn("readers", detail, mend))
}

/// What stands between browsers and the gateway.
fn of_url(url: &str, seen: &Seen) -> Vec<Finding> {
    const HEADERS: &str = "In nginx, for /ws/: proxy_http_version 1.1; \
        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; \
        (see nginx.conf)";
    let fail = |detail: String, mend: &str| Finding::fail("url", detail, mend);
    let mut found = vec![match &seen.socket {
        Socket::Open => Finding::ok("url", format!("a WebSocket opens at {url}/ws/changes/")),
        Socket::Mute => {
            let detail = format!("{url}/ws/changes/ opens, but nothing comes");
            fail(detail, "Switch buffering off in the proxy: proxy_buffering off;")
        }
        Socket::NotUpgraded => {
            let detail = format!("{url}/ws/changes/ reaches the gateway without upgrade headers");
            fail(detail, HEADERS)
        }
        Socket::Refused(status, message) => {
            let detail = format!("the gateway refuses with {status}: {message}");
            fail(detail, "See docs/operations.md, under this message.")
        }
        Socket::Foreign(status) => {
            let detail = format!(
                "{url}/ws/changes/ is answered with {status} by something that is not the gateway"
            );
            let mend = if *status == 502 || *status == 504 {
                "The proxy does not reach the gateway: compare its proxy_pass with server.listen."
            } else {
                "Send /ws/, /sse/ and /poll/ to the gateway in the proxy (see nginx.conf)."
            };
            fail(detail, mend)
        }
        Socket::Silent(why) => fail(why.clone(), "Start the gateway, or mend the address."),
    }];
    if seen.takes_hot_reload {
        let detail = format!("exactly {url}/ws reaches the gateway too");
        let mend = "Where a development server reloads by /ws, give it a route of its own: \
                    location = /ws { … } (see nginx.conf). Else leave it.";
        found
            .push(Finding { status: "ok".to_owned(), ..Finding::warn("hot reload", detail, mend) });
    }
    if let Some(ahead_ms) = seen.ahead_ms {
        found.push(doctor::clock("the address", ahead_ms));
    }
    found
}
