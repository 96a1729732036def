-- A row of a few hundred bytes, 10,000 of them.
create table accounts (
  id         integer     not null,
  name       text        not null,
  email      text        not null,
  quantity   integer     not null default 0,
  notes      text        not null,
  changed_at timestamptz not null default now(),
  constraint accounts_pkey primary key (id)
) with (fillfactor = 50);
insert into accounts (id, name, email, notes)
  select g, 'name ' || g, 'user' || g || '@example.org', repeat('lorem ipsum ', 10) from generate_series(1, 10000) g;
vacuum analyze accounts;
