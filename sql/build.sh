#!/bin/sh
# build.sh: makes sql/02_triggers.sql from its pieces. With --check it only says whether the file is right.
set -eu
export LC_ALL=C
cd "$(dirname "$0")"

pieces() {
  echo stand_alone/head.sql
  echo pgfeed/check.sql
  for piece in pgfeed/tables/*.sql pgfeed/views/*.sql pgfeed/functions/*.sql; do echo "$piece"; done
  echo pgfeed/grants.sql
  echo pgfeed/upgrade.sql
  echo stand_alone/samples.sql
}

build() {
  first=yes
  for piece in $(pieces); do
    [ "$first" = yes ] || printf '\n'
    first=no
    cat "$piece"
  done
}

if [ "${1:-}" = --check ]; then
  build | cmp -s - 02_triggers.sql || {
    echo "sql/02_triggers.sql does not match its pieces: run sql/build.sh" >&2
    exit 1
  }
else
  build > 02_triggers.sql
fi
