-- A training platform in five tables. Safe to run again.
create table if not exists people (
  id text primary key,
  name text not null,
  role text not null check (role in ('student', 'admin'))
);

create table if not exists courses (
  id bigint generated always as identity primary key,
  title text not null check (title <> ''),
  summary text not null default '',
  status text not null default 'DRAFT' check (status in ('DRAFT', 'PUBLISHED'))
);

create table if not exists registrations (
  id bigint generated always as identity primary key,
  person_id text not null references people (id),
  course_id bigint not null references courses (id) on delete cascade,
  progress integer not null default 0 check (progress between 0 and 100),
  created_at timestamptz not null default now(),
  unique (person_id, course_id)
);

create table if not exists notifications (
  id bigint generated always as identity primary key,
  person_id text not null references people (id),
  kind text not null check (kind in ('enrolment', 'payment', 'certificate')),
  text text not null,
  is_read boolean not null default false,
  created_at timestamptz not null default now()
);

create table if not exists scores (
  person_id text primary key references people (id),
  name text not null,
  points integer not null default 0
);

insert into people (id, name, role) values
  ('ada', 'Ada', 'student'),
  ('linus', 'Linus', 'student'),
  ('grace', 'Grace', 'student'),
  ('edsger', 'Edsger', 'admin')
on conflict do nothing;

insert into scores (person_id, name)
select id, name from people where role = 'student'
on conflict do nothing;

insert into courses (title, summary, status)
select * from (values
  ('Rust from the ground up', 'Ownership, traits, async: by writing a key-value store.', 'PUBLISHED'),
  ('PostgreSQL for application people', 'Indexes, transactions, and what the planner thinks.', 'PUBLISHED'),
  ('React without fear', 'State, effects, and when not to use them.', 'PUBLISHED'),
  ('Distributed systems by hand', 'Clocks, logs and consensus on paper first.', 'DRAFT')
) as sample (title, summary, status)
where not exists (select from courses);
