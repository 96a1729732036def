#!/bin/sh
# run.sh: what a writer pays. pgbench, one UPDATE of one row a transaction, synchronous commit, on
# throwaway clusters with fsync on: one on this machine's disk and one on a disk that takes 2 ms for a
# flush (memory and slow_flush.c). Prints transactions per second with the ratio to bare, and the
# database's CPU time for a transaction, gateway's reads included. Cells are medians of the rounds; the
# variants take turns in each, so that the machine's moods hit all of them.
#
#   bare      no trigger
#   seed      row trigger, row_to_json, pg_notify of the row
#   log       pgfeed, told never to wake: the log row alone
#   feed      pgfeed while its wake is not needed; no gateway runs
#   gateway   pgfeed while a gateway reads along, on the same cores
#   asleep    pgfeed without any gateway: every commit notifies (not among the default ones)
#   other     feed, made by another version of the script: OTHER_SQL
#
#   SECONDS_EACH=5 CLIENTS="1 32" ROUNDS=2 VARIANTS="bare feed" DISKS=slow bench/writer/run.sh
#   EACH=1              prints every turn too: disk, clients, variant, tps, CPU time
#   SLOW_MS=5           another time for the flush of the slow disk; DISKS=none is one that takes none
#   DATA_DIR=/mnt/disk  where the first cluster goes (default: a temporary folder)
#   GATEWAY=path        the gateway (default: the release build; without it, that variant is left out)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
seconds=${SECONDS_EACH:-3}
clients=${CLIENTS:-1 8 32}
rounds=${ROUNDS:-3}
gateway=${GATEWAY:-$root/target/release/pgfeed}
slow_ms=${SLOW_MS:-2}
variants=${VARIANTS:-bare seed log feed gateway}
[ -x "$gateway" ] || variants=$(echo "$variants" | sed 's/ *gateway//')

find_bin() {
  for dir in "${PGFEED_PG_BIN:-}" "$(pg_config --bindir 2>/dev/null || true)" \
             /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin; do
    if [ -n "$dir" ] && [ -x "$dir/pgbench" ] && [ -x "$dir/initdb" ]; then echo "$dir"; return; fi
  done
  echo "no PostgreSQL with pgbench found: set PGFEED_PG_BIN" >&2
  exit 78
}

bin=$(find_bin)
work=
as=""
[ "$(id -u)" = 0 ] && as="runuser -u postgres --"

finish() {
  [ -n "$work" ] || return 0
  for pid in $(cat "$work/pids" 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
  $as "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$work"
  work=
}
trap finish EXIT
trap 'exit 1' INT TERM

run_sql() { "$bin/psql" -Xqt -v ON_ERROR_STOP=1 -d "$@" >/dev/null; }

# A cluster in the folder $1, with a flush that takes $2 ms longer.
start() {
  work=$(mktemp -d "$1/pgfeed-bench.XXXXXX")
  [ -z "$as" ] || chown postgres "$work"
  preload=
  if [ "$2" != 0 ]; then
    cc -shared -fPIC -O2 -o "$work/slow_flush.so" "$here/slow_flush.c" -ldl
    preload=$work/slow_flush.so
  fi
  $as "$bin/initdb" -D "$work/data" -A trust -U postgres -E UTF8 --locale=C --no-sync >/dev/null
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
  $as env FLUSH_MS="$2" LD_PRELOAD="$preload" "$bin/pg_ctl" -D "$work/data" -l "$work/log" -w start >/dev/null
  export PGHOST="$work" PGUSER=postgres PGOPTIONS="-c client_min_messages=warning"
  server=$(head -1 "$work/data/postmaster.pid")
}

prepare() {
  "$bin/createdb" "$1"
  run_sql "$1" -f "$here/table.sql"
  script=$root/sql/02_triggers.sql
  wake=auto
  case $1 in
    bare) return ;;
    seed) run_sql "$1" -f "$here/seed.sql"; return ;;
    log) wake=never ;;
    other) script=$OTHER_SQL ;;
  esac
  run_sql "$1" -f "$script"
  run_sql "$1" -c "select pgfeed.watch('accounts', '$wake')"
  case $1 in
    feed | other)
      # A gateway that is awake holds this lock; here for as long as the run takes.
      "$bin/psql" -Xq -d "$1" -c "select pg_advisory_lock(1128678482, 1), pg_sleep(86400)" >/dev/null 2>&1 &
      echo $! >> "$work/pids" ;;
    gateway)
      DATABASE_URL="host=$work user=postgres dbname=$1" PGFEED__SERVER__LISTEN=127.0.0.1:0 \
        PGFEED__ACCESS__DEFAULT=anyone "$gateway" serve >/dev/null 2>&1 &
      echo $! >> "$work/pids" ;;
  esac
}

# CPU time in ticks of the server's processes: those that have ended, and the gateway's connections.
cpu() {
  pids=$("$bin/psql" -XAtc "select pid from pg_stat_activity where application_name like 'pgfeed%'" -d postgres)
  { awk '{ print $16 + $17 }' "/proc/$server/stat"
    for pid in $pids; do awk '{ print $14 + $15 }' "/proc/$pid/stat"; done; } 2>/dev/null |
    awk '{ sum += $1 } END { print sum + 0 }'
}

# One turn of variant $1 with $2 clients: a line with its tps and its CPU time in microseconds.
turn() {
  run_sql "$1" -c "vacuum accounts" -c checkpoint
  before=$(cpu)
  "$bin/pgbench" -n -M prepared -f "$here/update.sql" -c "$2" -j 2 -T "$seconds" "$1" 2>/dev/null > "$work/told"
  after=$(cpu)
  awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" '
    /processed:/ { count = $NF } /^tps = / { tps = $3 }
    END { print tps, ticks * 1e6 / hz / count }' "$work/told" >> "$work/$1.$2"
  [ -z "${EACH:-}" ] || echo "$disk $2 $1 $(tail -n 1 "$work/$1.$2")"
}

# The median of column $2 in the file $1.
median() { sort -n -k "$2,$2" "$1" | awk -v column="$2" '{ all[NR] = $column } END { print all[int((NR + 1) / 2)] }'; }

table() {
  printf '\n%s\n\n%-8s' "$1" clients
  for variant in $variants; do printf '%22s' "$variant"; done
  printf '\n'
  for count in $clients; do
    bare=$(median "$work/${variants%% *}.$count" 1)
    printf '%-8s' "$count"
    for variant in $variants; do
      echo "$(median "$work/$variant.$count" 1) $(median "$work/$variant.$count" 2)" |
        awk -v bare="$bare" '{ printf "%9.0f %5.2f %4.0f us", $1, $1 / bare, $2 }'
    done
    printf '\n'
  done
}

measure() {
  start "$2" "$3"
  for variant in $variants; do prepare "$variant"; done
  for count in $clients; do
    round=0
    while [ "$round" -lt "$rounds" ]; do
      for variant in $variants; do turn "$variant" "$count"; done
      round=$((round + 1))
    done
  done
  table "$1: transactions/s, ratio to the first, database CPU a transaction"
  finish
}

memory=/dev/shm
[ -d "$memory" ] || memory=${TMPDIR:-/tmp}
for disk in ${DISKS:-own slow}; do
  case $disk in
    own) measure "This machine's disk" "${DATA_DIR:-${TMPDIR:-/tmp}}" 0 ;;
    slow) measure "A disk that takes $slow_ms ms for a flush" "$memory" "$slow_ms" ;;
    none) measure "A disk that takes no time for a flush" "$memory" 0 ;;
  esac
done
