-- schema.sql: what an installation makes, as tests/database/schema.rs lists it.
-- table pgfeed.grantee: Roles of gateways: pgfeed.watch() gives them SELECT on the tables that it puts on the feed.
  role name not null
  constraint grantee_pkey PRIMARY KEY (role)
-- table pgfeed.log: Row changes as committed. Written by triggers only, read by gateways, emptied by pgfeed.prune().
  id bigint not null generated always as identity
  xid xid8 not null default pg_current_xact_id()
  at timestamp with time zone not null default clock_timestamp()
  watch integer
  rel oid
  op "char" not null
  key json
  new json
  old json
  CREATE INDEX log_xid_id ON pgfeed.log USING btree (xid, id)
  with (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=50000, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=500000, autovacuum_analyze_scale_factor=0, autovacuum_analyze_threshold=20000, vacuum_truncate=false)
  grant insert to pgfeed_owner
  grant select (id) to pgfeed_owner
  grant select (xid) to pgfeed_owner
  grant select (watch) to pgfeed_owner
  grant select (rel) to pgfeed_owner
  grant select (op) to pgfeed_owner
-- table pgfeed.meta: One row: which history the log belongs to.
  one boolean not null default true
  dbid oid not null
  sysid bigint not null
  prune_from xid8 not null default '3'::xid8
  history uuid not null default gen_random_uuid()
  version integer not null
  constraint meta_one_row CHECK (one)
  constraint meta_pkey PRIMARY KEY (one)
-- table pgfeed.shape: Columns and capture of tables on the feed as gateways last saw them. Written by pgfeed.note_shapes().
  rel oid not null
  shape bigint not null
  capture bigint not null
  since bigint not null
  members bigint[]
  constraint shape_pkey PRIMARY KEY (rel)
-- table pgfeed.tick: Durable snapshots, made by pgfeed.make_tick(). The oldest is the oldest position that is served.
  id bigint not null generated always as identity
  at timestamp with time zone not null default clock_timestamp()
  last bigint not null
  tag integer not null default ((random() * (2147483647)::double precision))::integer
  snap pg_snapshot not null default pg_current_snapshot()
  constraint tick_pkey PRIMARY KEY (id)
  with (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=10000, vacuum_truncate=false)
-- table pgfeed.watch_list: Tables on the feed. Written by pgfeed.watch() and pgfeed.unwatch() only.
  id integer not null generated always as identity
  rel regclass not null
  at timestamp with time zone not null default clock_timestamp()
  level text not null
  wake text not null
  name text not null
  granted_to name[] not null default '{}'::name[]
  constraint watch_list_level CHECK ((level = ANY (ARRAY['auto'::text, 'row'::text])))
  constraint watch_list_pkey PRIMARY KEY (id)
  constraint watch_list_rel UNIQUE (rel)
  constraint watch_list_wake CHECK ((wake = ANY (ARRAY['auto'::text, 'always'::text, 'never'::text])))
  grant select to pgfeed_owner
-- view pgfeed.watched: Tables on the feed.
  id integer
  relation regclass
  schema name
  table name
  wake text
  level text
  triggers integer
  since timestamp with time zone
-- function pgfeed.beat() returns bigint
  language sql volatile security definer
  set search_path=pg_catalog, pg_temp
  -- Writes a beat into the log, for gateways.
-- function pgfeed.can_look(p_watch integer, p_rel oid) returns boolean
  language sql stable
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by pgfeed.capture_careful(): whether a row can be looked up as it stands now.
-- function pgfeed.capture() returns trigger
  language plpgsql volatile security definer
  set search_path=pg_catalog, pg_temp
  set TimeZone=UTC
  set DateStyle=ISO, MDY
  set IntervalStyle=postgres
  set bytea_output=hex
  set extra_float_digits=1
  owner pgfeed_owner
  grant execute to builder
  -- Trigger function of pgfeed.watch(): writes the change to pgfeed.log and wakes a sleeping gateway.
-- function pgfeed.capture_careful(p_watch integer, p_rel oid, p_op text, p_new record, p_old record, p_again boolean) returns void
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by the trigger functions: logs a change that the ordinary path cannot, and never fails.
-- function pgfeed.capture_of(p_rel oid) returns bigint
  language sql stable
  set search_path=pg_catalog, pg_temp
  -- Used by pgfeed.note_shapes(): a number for how the writes of a table are captured.
-- function pgfeed.capture_truncate(p_watch integer, p_rel oid) returns void
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by the trigger functions: logs a TRUNCATE, or a gap where only a part of the table was emptied.
-- function pgfeed.capture_update() returns trigger
  language plpgsql volatile security definer
  set search_path=pg_catalog, pg_temp
  set TimeZone=UTC
  set DateStyle=ISO, MDY
  set IntervalStyle=postgres
  set bytea_output=hex
  set extra_float_digits=1
  owner pgfeed_owner
  grant execute to builder
  -- Trigger function of pgfeed.watch(): writes an UPDATE to pgfeed.log and wakes a sleeping gateway.
-- function pgfeed.capture_update_nested(p_watch integer, p_rel oid, p_mode text, p_new record, p_old record) returns void
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by the trigger functions: logs an UPDATE that is not ordinary.
-- function pgfeed.check_watchable(p_rel regclass) returns void
  language plpgsql stable
  set search_path=pg_catalog, pg_temp
  -- Raises with the mend if a table cannot be on the feed.
-- function pgfeed.current_row(p_watch integer, p_rel oid, p_probe json, p_unknown json) returns json
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by pgfeed.capture_careful(): a row as it stands now, null where it is gone.
-- function pgfeed.grant_to(role name) returns void
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  -- Gives a role what a gateway needs, also on tables watched later.
-- function pgfeed.has_other_triggers(p_rel regclass) returns boolean
  language sql stable
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Whether other triggers of a table, or its own cascades, may change rows again.
-- function pgfeed.is_inner(p_watch integer, p_rel oid) returns boolean
  language sql stable
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by pgfeed.capture_careful(): whether a trigger of this statement has changed a table.
-- function pgfeed.key_columns(p_watch integer, p_rel oid) returns name[]
  language sql stable
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Primary key columns of the watched table of a row.
-- function pgfeed.key_of(p_watch integer, p_rel oid, p_row record) returns json
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- The primary key of a row as JSON.
-- function pgfeed.level_of(p_rel regclass, p_level text) returns text
  language sql stable
  set search_path=pg_catalog, pg_temp
  -- How INSERT and DELETE of a table are captured: row or statement.
-- function pgfeed.make_tick(max_age interval DEFAULT '00:00:00'::interval) returns TABLE(id bigint, tag integer, snap pg_snapshot, at timestamp with time zone)
  language plpgsql volatile security definer
  set search_path=pg_catalog, pg_temp
  -- Makes a durable position in the feed, or returns the newest one.
-- function pgfeed.members_of(p_rel oid) returns bigint[]
  language sql stable
  set search_path=pg_catalog, pg_temp
  -- Used by pgfeed.note_shapes(): the partitions and children of a table, and since when.
-- function pgfeed.mode_of(p_rel regclass) returns text
  language sql stable
  set search_path=pg_catalog, pg_temp
  -- Whether rows of a table need care: plain or careful.
-- function pgfeed.note_depth() returns void
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by the trigger functions: how deep in triggers this transaction has logged changes.
-- function pgfeed.note_inner(p_watch integer, p_rel oid) returns void
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by the trigger functions: remembers that a trigger of this statement has changed a table.
-- function pgfeed.note_large() returns boolean
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by pgfeed.capture(): marks a statement that has a large row.
-- function pgfeed.note_shapes(p_rels oid[], p_shapes bigint[]) returns TABLE(rel oid, since bigint)
  language plpgsql volatile security definer
  set search_path=pg_catalog, pg_temp
  -- Remembers the shape of the tables on the feed, and since which tick it holds.
-- function pgfeed.prune(keep interval DEFAULT '24:00:00'::interval, batch integer DEFAULT 10000) returns integer
  language plpgsql volatile security definer
  set search_path=pg_catalog, pg_temp
  -- Deletes a batch of changes older than the log is kept; returns how many.
-- function pgfeed.row_json(p_rel oid, p_row record) returns json
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by pgfeed.capture_careful(): a row as JSON, null where it would be over 64 MB.
-- function pgfeed.rows_moved(p_rel oid, p_members bigint[]) returns boolean
  language sql stable
  set search_path=pg_catalog, pg_temp
  -- Used by pgfeed.note_shapes(): whether partitions or children came or went with rows.
-- function pgfeed.rows_of(p_op text, p_rel oid, p_all boolean) returns text
  language sql stable
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by pgfeed.capture(): query for the rows of a transition table.
-- function pgfeed.share_table(p_id integer) returns void
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  -- Gives gateways USAGE on the schema of a watched table and SELECT on the table.
-- function pgfeed.start_history() returns uuid
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  -- Forgets log and positions: every client starts over.
-- function pgfeed.status() returns TABLE("check" text, status text, detail text, mend text)
  language sql stable security definer
  set search_path=pg_catalog, pg_temp
  -- What is right and wrong with the feed: check, status (ok, warn, fail), detail, mend.
-- function pgfeed.status_of_log() returns TABLE("check" text, status text, detail text, mend text)
  language sql stable
  set search_path=pg_catalog, pg_temp
  -- Used by pgfeed.status(): findings about log and positions.
-- function pgfeed.status_of_server() returns TABLE("check" text, status text, detail text, mend text)
  language sql stable
  set search_path=pg_catalog, pg_temp
  -- Used by pgfeed.status(): findings about the server.
-- function pgfeed.status_of_tables() returns TABLE("check" text, status text, detail text, mend text)
  language sql stable
  set search_path=pg_catalog, pg_temp
  -- Used by pgfeed.status(): findings about the watched tables.
-- function pgfeed.status_of_triggers() returns TABLE("check" text, status text, detail text, mend text)
  language sql stable
  set search_path=pg_catalog, pg_temp
  -- Used by pgfeed.status(): findings about triggers written by hand, and about the owner of the trigger functions.
-- function pgfeed.strange_code(p_rel regclass) returns TABLE(detail text, mend text)
  language sql stable
  set search_path=pg_catalog, pg_temp
  -- Code of others that the types of a table would have the trigger functions run.
-- function pgfeed.tell_gateways() returns void
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  -- Makes gateways look at once at which tables are on the feed.
-- function pgfeed.triggers_of(p_id integer) returns TABLE(rel regclass, name text, state text, mend text)
  language sql stable
  set search_path=pg_catalog, pg_temp
  -- The triggers that a watched table must have, with their state and the command that mends it.
-- function pgfeed.unwatch(rel regclass) returns integer
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  -- Takes a table off the feed. Run it as the owner of the table.
-- function pgfeed.wake(p_watch integer, p_rel oid, p_op text) returns void
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  grant execute to pgfeed_owner
  -- Used by the trigger functions: NOTIFY on channel db_changes that the log has grown.
-- function pgfeed.watch(rel regclass, wake text DEFAULT NULL::text, level text DEFAULT NULL::text) returns text
  language plpgsql volatile
  set search_path=pg_catalog, pg_temp
  -- Puts a table on the feed, or brings its triggers up to date; wake and level stay as they were where they are not given. Run it as the owner of the table.
-- function public.notify_table_change() returns trigger
  language plpgsql volatile security definer
  set search_path=pg_catalog, pg_temp
  set TimeZone=UTC
  set DateStyle=ISO, MDY
  set IntervalStyle=postgres
  set bytea_output=hex
  set extra_float_digits=1
  owner pgfeed_owner
  grant execute to builder
  -- Trigger function for triggers written by hand: puts the change on the feed (pgfeed).
