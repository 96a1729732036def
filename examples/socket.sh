#!/bin/sh
# Follows a table on a WebSocket: examples/socket.sh [ws://127.0.0.1:8080] [table]
# Lines typed here are requests: {"type":"ping"}
exec websocat "${1:-ws://127.0.0.1:8080}/ws/changes/?table=${2:-courses}&snapshot=true"
