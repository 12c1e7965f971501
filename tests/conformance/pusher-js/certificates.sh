#!/bin/bash
# certificates.sh FOLDER: a throw-away authority (ca.pem) and its certificate (cert.pem, key.pem) for *.pusher.com.
set -eu
mkdir -p "$1"
cd "$1"
quietly() { "$@" 2>openssl.log || { cat openssl.log >&2; exit 1; }; }
cat >extensions <<'EXTENSIONS'
subjectAltName=DNS:*.pusher.com,DNS:localhost,IP:127.0.0.1
basicConstraints=CA:FALSE
extendedKeyUsage=serverAuth
EXTENSIONS
quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj "/CN=courant test authority" -keyout ca.key -out ca.pem
quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=ws-mt1.pusher.com" -keyout key.pem -out request.pem
quietly openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 7 -extfile extensions -out cert.pem
