"""The settings: the environment, read through typed readers. See docs/reference/settings.md.

The embedded stack sets the same variables as any production deployment.
"""

import hashlib
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from baas.kernel import env, logs

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("BAAS_DATA_DIR", str(BASE_DIR / ".baas"))).absolute()

SECRET_KEY = env.required(
    "BAAS_SECRET_KEY", "Make one with `openssl rand -hex 32`; `make up` makes its own."
)
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("BAAS_SECRET_KEY is too short: give at least 32 characters.")
DEBUG = False
ALLOWED_HOSTS = env.items("BAAS_ALLOWED_HOSTS", ["*"])
PUBLIC_URL = env.text("BAAS_PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")

INSTALLED_APPS = [
    "rest_framework",
    "drf_spectacular",
    "channels",
    "baas.kernel",
    "auth",
    "documents",
    "storage",
    "functions",
    "realtime",
]
MIDDLEWARE = [
    "baas.kernel.http.django.RequestMiddleware",
    "baas.kernel.http.django.IdempotencyMiddleware",
]
ROOT_URLCONF = "baas.urls"
WSGI_APPLICATION = "baas.wsgi.application"
ASGI_APPLICATION = "baas.asgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # the doors enforce body limits, per route

LOGGING = logs.config(env.text("BAAS_LOG_LEVEL", "INFO"))


def _database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ImproperlyConfigured(
            f"BAAS_DATABASE_URL has the scheme {parts.scheme!r}: expected postgresql://…"
        )
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": str(query.pop("port", parts.port or "")),
        # A connection per thread, kept; checked when it fails, not before each use.
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            # `kernel.statements` prepares what comes again. psycopg must not: it would clean up
            # with DEALLOCATE ALL, which takes ours along.
            "prepare_threshold": None,
            "server_side_binding": False,
            "application_name": "baas",
            **query,
        },
    }


DATABASES = {
    "default": _database(
        env.required(
            "BAAS_DATABASE_URL", "Give a postgresql:// URL, or run `make up`, which brings its own."
        )
    )
}

REDIS_URL = env.text("BAAS_REDIS_URL")


def _as_broker(url: str) -> str:
    """A Redis URL as Celery spells it."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    database = parse_qs(parts.query).get("db", ["0"])[-1]
    return f"redis+socket://{parts.path}?virtual_host={database}"


BROKER_URL = _as_broker(env.text("BAAS_BROKER_URL", REDIS_URL))
OBJECT_STORE = env.text("BAAS_OBJECT_STORE", f"file://{DATA_DIR / 'objects'}")
FUNCTION_HOST = env.text("BAAS_FUNCTION_HOST", f"unix://{DATA_DIR / 'run' / 'host.sock'}")

# Encrypts what must be read back (function secrets, signing keys): derived, never the key itself.
ENCRYPTION_KEY = hashlib.blake2b(
    SECRET_KEY.encode(), person=b"baas-encryption", digest_size=32
).digest()

# How long an access token lives, and a session that is not refreshed (each refresh renews it).
ACCESS_TOKEN_S = env.integer("BAAS_ACCESS_TOKEN_S", 900)
SESSION_DAYS = env.integer("BAAS_SESSION_DAYS", 30)

# Requests a minute from one address and to one project, unless the project's settings say
# otherwise; 0 is no limit. Secret keys and operators are exempt.
RATE_LIMIT_PER_IP = env.integer("BAAS_RATE_LIMIT_PER_IP", 12_000)
RATE_LIMIT_PER_PROJECT = env.integer("BAAS_RATE_LIMIT_PER_PROJECT", 0)

# Callers who wait for functions, per web process: fewer than its threads, which functions need for
# what they call back.
MAX_SYNC_INVOKES = env.integer("BAAS_MAX_SYNC_INVOKES", 16)
# Deliveries that are leased at a time, by all workers together and of one project.
MAX_IN_FLIGHT = env.integer("BAAS_MAX_IN_FLIGHT", 1000)
MAX_IN_FLIGHT_PER_PROJECT = env.integer("BAAS_MAX_IN_FLIGHT_PER_PROJECT", 500)
# How long work may wait in the broker, and how long a dead worker's work stays with it.
DELIVERY_LEASE_S = env.number("BAAS_DELIVERY_LEASE_S", 30.0)
WORKER_RUNS = env.integer("BAAS_WORKER_RUNS", 32)  # functions that a worker runs at once
FUNCTION_RECORD_RETENTION_DAYS = env.integer("BAAS_FUNCTION_RECORD_RETENTION_DAYS", 30)

# Celery only carries messages: Postgres is the ledger, a lease that ends brings lost work back.
BAAS_CELERY_APP = "baas.celery.app"
CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_DEFAULT_QUEUE = "baas"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_EAGER_RESULT = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# Acknowledged when received: a message that comes twice would find its lease used anyway.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_TIMEOUT = 2
# These are Redis's; AMQP has CELERY_BROKER_CONNECTION_TIMEOUT.
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {} if BROKER_URL.startswith("amqp") else {"socket_connect_timeout": 2, "socket_timeout": 10}
)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False

EVENT_RETENTION_DAYS = env.integer("BAAS_EVENT_RETENTION_DAYS", 14)
# What one request may ask of the database; the web process sets it on its connections.
STATEMENT_TIMEOUT_MS = env.integer("BAAS_STATEMENT_TIMEOUT_MS", 30_000)
# How many requests of one project may keep a web process's database connections busy for seconds.
SLOW_REQUESTS_PER_PROJECT = env.integer(
    "BAAS_SLOW_REQUESTS_PER_PROJECT", max(1, env.integer("BAAS_WEB_THREADS", 32) // 4)
)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["baas.kernel.http.drf.PrincipalAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["baas.kernel.http.drf.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["baas.kernel.http.drf.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "baas.kernel.http.drf.AlwaysJson",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "baas.kernel.http.drf.handle_exception",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "BaaS",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
}

CHANNEL_LAYERS: dict[str, object] = {}
# A websocket that was silent for so long is told that it still lives.
REALTIME_HEARTBEAT_S = env.number("BAAS_REALTIME_HEARTBEAT_S", 25.0)

# Who knows the tokens: called by both doors for every request inside a project.
BAAS_AUTHENTICATE = "auth.principals.authenticate"
# Documents that a page or a count, and a pipeline, of an end user may read where no index helps;
# ten times as many of a secret key or an operator. A project's settings may say otherwise.
MAX_LISTED_ROWS = env.integer("BAAS_MAX_LISTED_ROWS", 1_000_000)
MAX_AGGREGATED_ROWS = env.integer("BAAS_MAX_AGGREGATED_ROWS", 100_000)
