-- pgfeed.grant_to(role): gives a role what a gateway needs, and no more.
--
-- Reading the log and its ticks, making ticks and beats, pruning, status, and SELECT on the watched
-- tables with USAGE on their schemas, which tables that are watched later get by pgfeed.watch().
-- Safe to repeat.
-- Parameters: role: the role that the gateway logs in as.
-- Calls: pgfeed.share_table. Tables touched: inserts into pgfeed.grantee; updates
--   pgfeed.watch_list.
create or replace function pgfeed.grant_to(role name) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_column
declare
  v_id integer;
begin
  if to_regrole(quote_ident(grant_to.role)) is null then
    raise exception 'there is no role %', grant_to.role using errcode = 'undefined_object',
      hint = format('create role %I login;', grant_to.role);
  end if;
  execute format('grant usage on schema pgfeed to %I', grant_to.role);
  execute format('grant select on pgfeed.log, pgfeed.tick, pgfeed.meta, pgfeed.watch_list, pgfeed.watched to %I',
                 grant_to.role);
  execute format('grant execute on function pgfeed.make_tick(interval), pgfeed.beat(),'
                 ' pgfeed.note_shapes(oid[], bigint[]), pgfeed.prune(interval, integer), pgfeed.status() to %I', grant_to.role);
  insert into pgfeed.grantee (role) values (grant_to.role) on conflict (role) do nothing;
  for v_id in select w.id from pgfeed.watch_list w join pg_class c on c.oid = w.rel loop
    perform pgfeed.share_table(v_id);
  end loop;
end
$fn$;

comment on function pgfeed.grant_to(name) is
  'Gives a role what a gateway needs, also on tables watched later.';
