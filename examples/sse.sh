#!/bin/sh
# Follows a table by server-sent events: examples/sse.sh [http://127.0.0.1:8080] [table]
# Where it was cut off, it goes on from the last `id:` line, as a browser does.
gateway=${1:-http://127.0.0.1:8080} table=${2:-courses} id=
events=$(mktemp) && trap 'rm -f "$events"' EXIT
while :; do
  curl -sSN -H "Last-Event-ID: $id" "$gateway/sse/changes/?table=$table&snapshot=true" |
    tee "$events"
  last=$(sed -n 's/^id://p' "$events" | tail -n 1)
  id=${last:-$id}
  sleep 1
done
