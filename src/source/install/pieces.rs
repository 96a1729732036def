//! The SQL of the feed, in the order in which it is applied. `sql/build.sh` lists the same pieces
//! by their folders; a test holds that both agree.

/// The sample tables, as [`super::make_samples`] makes them.
pub(super) const SAMPLES: &str = include_str!("../../../sql/01_init.sql");

/// The names of the sample tables.
pub const SAMPLE_TABLES: [&str; 4] = ["profiles", "roles", "courses", "registrations"];

const HEAD: &str = include_str!("../../../sql/stand_alone/head.sql");
const SAMPLES_WATCHED: &str = include_str!("../../../sql/stand_alone/samples.sql");

/// What a transaction that changes the feed begins with; `sql/stand_alone/head.sql` says why.
pub(super) const PREPARE: &str = "
    set local client_min_messages = warning;
    set local lock_timeout = '5s';
    set local check_function_bodies = off;
    set local search_path = pg_catalog, pg_temp;
    do $do$ begin perform pg_catalog.pg_advisory_xact_lock(1128678482, 0); end $do$;
";

macro_rules! pieces {
    ($($path:literal),* $(,)?) => {
        &[$((
            concat!("sql/pgfeed/", $path),
            include_str!(concat!("../../../sql/pgfeed/", $path)),
        )),*]
    };
}

/// Name and text of every piece.
pub(super) const PIECES: &[(&str, &str)] = pieces![
    "check.sql",
    "tables/001_log.sql",
    "tables/002_tick.sql",
    "tables/003_meta.sql",
    "tables/004_watch_list.sql",
    "tables/005_grantee.sql",
    "tables/006_shape.sql",
    "views/watched.sql",
    "functions/beat.sql",
    "functions/can_look.sql",
    "functions/capture.sql",
    "functions/capture_careful.sql",
    "functions/capture_of.sql",
    "functions/capture_truncate.sql",
    "functions/capture_update.sql",
    "functions/capture_update_nested.sql",
    "functions/check_watchable.sql",
    "functions/current_row.sql",
    "functions/grant_to.sql",
    "functions/has_other_triggers.sql",
    "functions/is_inner.sql",
    "functions/key_columns.sql",
    "functions/key_of.sql",
    "functions/level_of.sql",
    "functions/make_tick.sql",
    "functions/members_of.sql",
    "functions/mode_of.sql",
    "functions/note_depth.sql",
    "functions/note_inner.sql",
    "functions/note_large.sql",
    "functions/note_shapes.sql",
    "functions/notify_table_change.sql",
    "functions/prune.sql",
    "functions/row_json.sql",
    "functions/rows_moved.sql",
    "functions/rows_of.sql",
    "functions/share_table.sql",
    "functions/start_history.sql",
    "functions/status.sql",
    "functions/status_of_log.sql",
    "functions/status_of_server.sql",
    "functions/status_of_tables.sql",
    "functions/status_of_triggers.sql",
    "functions/strange_code.sql",
    "functions/tell_gateways.sql",
    "functions/triggers_of.sql",
    "functions/unwatch.sql",
    "functions/wake.sql",
    "functions/watch.sql",
    "grants.sql",
    "upgrade.sql",
];

/// The text that `sql/02_triggers.sql` must have.
pub fn stand_alone_script() -> String {
    let pieces = PIECES.iter().map(|(_, sql)| *sql);
    let all: Vec<&str> = std::iter::once(HEAD).chain(pieces).chain([SAMPLES_WATCHED]).collect();
    all.join("\n")
}
