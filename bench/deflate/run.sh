#!/bin/sh
# run.sh: what compressing frames would cost and save (docs/scaling.md). Needs a C compiler and zlib.h.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cc -O2 -Wall -Wextra -o "$folder/deflate" "$(dirname "$0")/deflate.c" -lz
"$folder/deflate"
