"""The environment that the tests run in: set before Django reads it, served when a test asks.

Loaded by `-p tests.environment` (pyproject.toml), the one moment that is early enough. The
addresses are fixed here; the servers behind them start with the first test that needs them
(`postgres_url`, `redis_url` in conftest.py), so unit tests do not pay for them.
"""

import os
import secrets
import tempfile
from pathlib import Path

from baas.embedded.paths import socket_dir_for
from baas.embedded.postgres import Postgres
from baas.embedded.redis import Redis

SESSION_DIR = Path(tempfile.gettempdir()).resolve() / f"baas-tests-{secrets.token_hex(4)}"
SOCKET_DIR = socket_dir_for(SESSION_DIR)

POSTGRES = Postgres(SESSION_DIR / "postgres", SOCKET_DIR, secrets.token_hex(16), durable=False)
REDIS = Redis(SESSION_DIR / "redis", SOCKET_DIR)

# Whatever the caller's shell says: tests touch nothing but their own servers.
for _name in [name for name in os.environ if name.startswith("BAAS_")]:
    if not _name.endswith("_BIN"):
        del os.environ[_name]
os.environ |= {
    "BAAS_DATA_DIR": str(SESSION_DIR),
    "BAAS_DATABASE_URL": POSTGRES.url,
    "BAAS_REDIS_URL": REDIS.url,
    "BAAS_BROKER_URL": REDIS.broker_url,
    "BAAS_OBJECT_STORE": f"file://{SESSION_DIR / 'objects'}",
    "BAAS_FUNCTION_HOST": f"unix://{SOCKET_DIR / 'function-host.sock'}",
    "BAAS_INTERNAL_URL": f"unix://{SOCKET_DIR / 'web.sock'}",
    "BAAS_SECRET_KEY": secrets.token_hex(32),
}
