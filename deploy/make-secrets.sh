#!/bin/sh
# Makes the random secrets that compose.yaml reads, once. Existing files are kept.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
make() { [ -s "secrets/$1" ] || printf '%s' "$2" >"secrets/$1"; }

make postgres_password "$(random)"
make minio_user baas
make minio_password "$(random)"
make secret_key "$(random)$(random)"
make database_url "postgresql://baas:$(cat secrets/postgres_password)@postgres:5432/baas"
make object_store "s3://$(cat secrets/minio_user):$(cat secrets/minio_password)@minio:9000/baas?secure=0"
# The containers read them as uid 10001.
chmod 0711 secrets
chmod 0444 secrets/*
echo "secrets are in $(pwd)/secrets"
