//! The tables that the tests write to.

/// Two plain tables of the harness's own, on the feed: the same under every version of the samples.
/// `other` is not on the feed.
pub(crate) const OWN_TABLES: &str = "
create table public.notes (id bigint primary key, title text not null default '', body text,
                           n integer not null default 0);
create table public.items (id bigint primary key, title text not null default '', body text,
                           n integer not null default 0);
create table public.other (id bigint primary key);
select pgfeed.watch('public.notes');
select pgfeed.watch('public.items');
";

/// One write of each kind to one of the four sample tables. The rows that they need are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) table: &'static str,
    pub(crate) insert: &'static str,
    pub(crate) update: &'static str,
    pub(crate) delete: &'static str,
    pub(crate) truncate: &'static str,
}

pub(crate) const SAMPLES: &[Sample] = &[
    Sample {
        table: "profiles",
        insert: "insert into profiles (name, email) values ('Noor', 'noor@academy.example')",
        update: "update profiles set name = 'Noor Haddad' where email = 'noor@academy.example'",
        delete: "delete from profiles where email = 'noor@academy.example'",
        truncate: "truncate profiles cascade",
    },
    Sample {
        table: "roles",
        insert: "insert into roles (profile_id, role) select id, 'admin' from profiles \
                 where email = 'mei@academy.example'",
        update: "update roles r set role = 'mentor' from profiles p where p.id = r.profile_id \
                 and p.email = 'mei@academy.example' and r.role = 'admin'",
        delete: "delete from roles r using profiles p where p.id = r.profile_id \
                 and p.email = 'mei@academy.example' and r.role = 'mentor'",
        truncate: "truncate roles",
    },
    Sample {
        table: "courses",
        insert: "insert into courses (title) values ('Fresh course')",
        update: "update courses set status = 'PUBLISHED' where title = 'Fresh course'",
        delete: "delete from courses where title = 'Fresh course'",
        truncate: "truncate courses cascade",
    },
    Sample {
        table: "registrations",
        insert: "insert into registrations (student_id, course_id) select p.id, c.id \
                 from profiles p, courses c where p.email = 'mei@academy.example' \
                 and c.title = 'Rust in practice'",
        update: "update registrations r set progress = 5 from profiles p, courses c \
                 where p.id = r.student_id and c.id = r.course_id \
                 and p.email = 'mei@academy.example' and c.title = 'Rust in practice'",
        delete: "delete from registrations r using profiles p, courses c \
                 where p.id = r.student_id and c.id = r.course_id \
                 and p.email = 'mei@academy.example' and c.title = 'Rust in practice'",
        truncate: "truncate registrations",
    },
];
