#!/bin/sh
# Follows a table by long poll: examples/poll.sh [http://127.0.0.1:8080] [table]
gateway=${1:-http://127.0.0.1:8080} table=${2:-courses}
url="$gateway/poll/changes/?table=$table" since=
while answer=$(curl -sSf "$url$since"); do
  echo "$answer"
  since="&since=$(echo "$answer" | sed 's/.*"cursor":"\([^"]*\)"[^]]*$/\1/')"
done
