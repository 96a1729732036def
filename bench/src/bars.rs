//! The figures that pgfeed promises to hold, each against what this run saw.

use std::fmt::Write as _;

use crate::report::{Report, number};

type Place = (&'static str, &'static str, &'static str);

/// A promise: the measured value, maybe over a reference, is at most (or at least) the limit.
#[derive(Clone, Copy)]
struct Bar {
    promise: &'static str,
    value: (Place, &'static str),
    over: Option<(Place, &'static str)>,
    limit: f64,
    at_least: bool,
}

const fn at_most(promise: &'static str, value: (Place, &'static str), limit: f64) -> Bar {
    Bar { promise, value, over: None, limit, at_least: false }
}

const fn over(bar: Bar, place: Place, column: &'static str) -> Bar {
    Bar { over: Some((place, column)), ..bar }
}

const fn at_least(bar: Bar) -> Bar {
    Bar { at_least: true, ..bar }
}

const CPU: &str = "CPU µs per delivery";
const LAST: &str = "sent → last client ms";
const TPS: &str = "tps";
/// Where a flush takes its time, as with the figures of DESIGN §4. Where it takes none, commits that
/// wait for each other's flush lose nothing, and CPU alone is compared.
const WRITERS: &str = "32 clients, a disk of 2 ms a flush";

const BARS: &[Bar] = &[
    delivery(
        "CPU per delivery, 1,000 clients over loopback, over the write loop",
        "fanout",
        "bare",
        1.15,
    ),
    delivery("CPU per delivery, 1,000 clients over loopback, over Node ws", "fanout", "node", 0.5),
    delivery(
        "CPU per delivery, 1,000 clients across a link, over the write loop",
        "link",
        "bare",
        1.15,
    ),
    delivery("CPU per delivery, 1,000 clients across a link, over Node ws", "link", "node", 0.5),
    at_most(
        "CPU µs per delivery in bursts of 100, 1,000 clients",
        (("burst", "1,000 × 100", "pgfeed"), CPU),
        0.5,
    ),
    over(
        at_most(
            "one change to 10,000 clients, the last one, over the write loop",
            (("fanout", "10,000 × 1", "pgfeed"), LAST),
            1.3,
        ),
        ("fanout", "10,000 × 1", "bare"),
        LAST,
    ),
    at_most(
        "commit → first client p50 ms, idle",
        (("latency", "idle", "pgfeed"), "commit → first p50 ms"),
        1.5,
    ),
    at_most(
        "commit → first client p99 ms, 2,000 writes/s, 100 clients",
        (("latency", "2,000/s", "pgfeed"), "commit → first p99 ms"),
        10.0,
    ),
    at_most(
        "KiB RSS a socket, 5,000 idle sockets",
        (("idle", "5,000", "pgfeed"), "KiB per socket"),
        10.0,
    ),
    at_most(
        "MB RSS in all, as many idle sockets as one process may hold",
        (("idle", "19,500", "pgfeed"), "MB in all"),
        200.0,
    ),
    at_most("connect storm of 10,000, s", (("storm", "10,000", "pgfeed"), "seconds"), 10.0),
    over(
        at_most(
            "CPU of a change at 1,000,000 filtered subscriptions over 1,000",
            (("routing", "1,000,000", "pgfeed"), "CPU µs per change"),
            2.0,
        ),
        ("routing", "1,000", "pgfeed"),
        "CPU µs per change",
    ),
    over(
        at_least(at_most("writer tps at 32 clients, 2 ms a flush, over bare", tps("pgfeed"), 0.7)),
        ("writer", WRITERS, "no trigger"),
        TPS,
    ),
    over(
        at_least(at_most("the same, over pg_notify of the row", tps("pgfeed"), 10.0)),
        ("writer", WRITERS, "pg_notify of the row"),
        TPS,
    ),
];

/// CPU per delivery of one change to 1,000 clients, over a peer's.
const fn delivery(
    promise: &'static str,
    scenario: &'static str,
    peer: &'static str,
    limit: f64,
) -> Bar {
    const CASE: &str = "1,000 × 1";
    over(at_most(promise, ((scenario, CASE, "pgfeed"), CPU), limit), (scenario, CASE, peer), CPU)
}

const fn tps(target: &'static str) -> (Place, &'static str) {
    (("writer", WRITERS, target), TPS)
}

/// The promises that this run could judge.
pub(crate) fn table(report: &Report) -> String {
    let mut out = String::from("| promise | limit | seen | |\n| --- | --- | --- | --- |\n");
    for bar in BARS {
        let Some(seen) = seen(bar, report) else { continue };
        let holds = if bar.at_least { seen >= bar.limit } else { seen <= bar.limit };
        let sign = if bar.at_least { "≥" } else { "≤" };
        let (limit, seen) = (number(bar.limit), number(seen));
        let verdict = if holds { "holds" } else { "**broken**" };
        writeln!(out, "| {} | {sign} {limit} | {seen} | {verdict} |", bar.promise).ok();
    }
    out
}

fn seen(bar: &Bar, report: &Report) -> Option<f64> {
    let value = report.value(bar.value.0, bar.value.1)?;
    match bar.over {
        None => Some(value),
        Some((place, column)) => Some(value / report.value(place, column)?),
    }
}
