#!/bin/sh
# Makes certificates in the folder $1: an authority, a server certificate for `localhost`
# signed by it, and an authority that signed nothing.
set -eu
cd "$1"
days=2
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

for authority in authority stranger; do
  new_key "$authority.key"
  openssl req -x509 -key "$authority.key" -days $days -subj "/CN=pgfeed test $authority" \
    -addext "basicConstraints=critical,CA:TRUE" -out "$authority.crt"
done
new_key server.key
openssl req -new -key server.key -subj "/CN=localhost" -out server.csr
printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n' > server.ext
openssl x509 -req -in server.csr -CA authority.crt -CAkey authority.key -set_serial 1 \
  -days $days -extfile server.ext -out server.crt 2>openssl.log
rm -f server.csr server.ext authority.key stranger.key
