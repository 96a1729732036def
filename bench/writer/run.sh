#!/bin/sh
# run.sh: what a writer pays. pgbench, one UPDATE of one row a transaction, on a throwaway cluster with
# fsync on: without triggers (bare), with a row trigger that sends the row by NOTIFY (seed), and with
# pgfeed while a gateway is awake (feed) and while none is (asleep). Prints transactions per second and
# ratios to bare. The variants take turns in every round, so that the machine's moods hit all of them.
#
#   bench/writer/run.sh                        10 s each, 1, 8 and 32 clients, one round
#   SECONDS_EACH=5 CLIENTS="1 32" ROUNDS=2 VARIANTS="bare feed" bench/writer/run.sh
#   VARIANTS="bare feed feed_other" OTHER_SQL=old.sql  compares with another version of the script
#   DATA_DIR=/mnt/disk  where the cluster goes (default: a temporary folder)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
seconds=${SECONDS_EACH:-10}
clients=${CLIENTS:-1 8 32}
rounds=${ROUNDS:-1}
variants=${VARIANTS:-bare seed feed asleep}

find_bin() {
  for dir in "${PGFEED_PG_BIN:-}" "$(pg_config --bindir 2>/dev/null || true)" \
             /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin; do
    if [ -n "$dir" ] && [ -x "$dir/pgbench" ] && [ -x "$dir/initdb" ]; then echo "$dir"; return; fi
  done
  echo "no PostgreSQL with pgbench found: set PGFEED_PG_BIN" >&2
  exit 78
}

bin=$(find_bin)
work=$(mktemp -d "${DATA_DIR:-${TMPDIR:-/tmp}}/pgfeed-bench.XXXXXX")
as=""
if [ "$(id -u)" = 0 ]; then
  chown postgres "$work"
  as="runuser -u postgres --"
fi

finish() {
  $as "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

$as "$bin/initdb" -D "$work/data" -A trust -U postgres -E UTF8 --locale=C >/dev/null
cat >> "$work/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$work'
max_connections = 100
shared_buffers = 256MB
max_wal_size = 4GB
checkpoint_timeout = 30min
jit = off
autovacuum = off
CONF
$as "$bin/pg_ctl" -D "$work/data" -l "$work/log" -w start >/dev/null
export PGHOST="$work" PGUSER=postgres PGOPTIONS="-c client_min_messages=warning"

for variant in $variants; do
  "$bin/createdb" "$variant"
  "$bin/psql" -Xq -v ON_ERROR_STOP=1 -d "$variant" -f "$here/table.sql"
  case $variant in
    bare) ;;
    seed) "$bin/psql" -Xq -v ON_ERROR_STOP=1 -d "$variant" -f "$here/seed.sql" ;;
    *)
      script=$root/sql/02_triggers.sql
      [ "$variant" = feed_other ] && script=$OTHER_SQL
      "$bin/psql" -Xq -v ON_ERROR_STOP=1 -d "$variant" -f "$script"
      "$bin/psql" -Xqtc "select pgfeed.watch('accounts')" -d "$variant" >/dev/null
      ;;
  esac
done

# A gateway that is awake holds this lock for as long as the run takes.
for variant in $variants; do
  case $variant in feed*)
    "$bin/psql" -Xq -d "$variant" -c "select pg_advisory_lock(1128678482, 1), pg_sleep(86400)" >/dev/null 2>&1 &
    ;;
  esac
done

printf '%-8s' clients
for variant in $variants; do printf '%18s' "$variant"; done
printf '\n'
for count in $clients; do
  for variant in $variants; do : > "$work/$variant.tps"; done
  round=0
  while [ "$round" -lt "$rounds" ]; do
    for variant in $variants; do
      "$bin/psql" -Xqc checkpoint -d "$variant"
      "$bin/pgbench" -n -M prepared -f "$here/update.sql" -c "$count" -j 2 -T "$seconds" "$variant" 2>/dev/null |
        sed -n 's/^tps = \([0-9.]*\).*/\1/p' >> "$work/$variant.tps"
    done
    round=$((round + 1))
  done
  bare=$(awk '{ sum += $1 } END { print sum / NR }' "$work/$(echo "$variants" | cut -d' ' -f1).tps")
  printf '%-8s' "$count"
  for variant in $variants; do
    awk -v bare="$bare" '{ sum += $1 } END { printf "%12.0f %5.2f", sum / NR, sum / NR / bare }' "$work/$variant.tps"
  done
  printf '\n'
done
