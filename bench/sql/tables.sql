-- The tables of one run. Each peer has its own, so that a change wakes only the one it is for.

-- What applications write by hand: the whole row in the notification.
create function public.relay_row() returns trigger
language plpgsql
as $$
begin
  perform pg_notify(
    tg_argv[0],
    json_build_object(
      'table', tg_table_name,
      'operation', tg_op,
      'data', row_to_json(new)
    )::text
  );
  return null;
end
$$;

do $$
declare
  v_peer text;
begin
  foreach v_peer in array array['gateway', 'node', 'channels'] loop
    execute format(
      'create table public.bench_%1$s (
         id bigint generated always as identity primary key,
         owner integer not null,
         mark text not null,
         body text not null
       )',
      v_peer
    );
    -- Rows for the updates, a hundred a lane.
    execute format(
      'insert into public.bench_%1$s (owner, mark, body)
       select 0, '''', repeat(''x'', 220) from generate_series(1, 800)',
      v_peer
    );
  end loop;
  foreach v_peer in array array['node', 'channels'] loop
    execute format(
      'create trigger relay after insert or update on public.bench_%1$s
       for each row execute function public.relay_row(''relay_%1$s'')',
      v_peer
    );
  end loop;
end
$$;
