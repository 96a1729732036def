#!/bin/sh
# Makes the role that the gateway logs in as. Run once, by the database's image, when it is empty.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$GATEWAY_PASSWORD" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
create role gateway login password :'password';
SQL
