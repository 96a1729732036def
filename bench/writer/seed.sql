-- The trigger that everybody writes first: the row itself goes into the payload.
create function notify_table_change() returns trigger language plpgsql as $$
begin
  perform pg_notify('db_changes', json_build_object(
    'table', tg_table_name, 'operation', tg_op, 'data', row_to_json(new))::text);
  return null;
end
$$;
create trigger accounts_notify after insert or update on accounts
  for each row execute function notify_table_change();
