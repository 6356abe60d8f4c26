"""Django's settings: what the house is made of. Everything that differs between houses comes from config/env.py."""

import sys
from typing import Any

import environ
from csp.constants import NONE, SELF

from config import env, logs

BASE_DIR = env.ROOT
HOME = env.HOME
DEBUG = env.DEBUG
SECRET_KEY = env.secret_key()
SECRET_KEYS = env.secret_keys()
RETENTION = env.RETENTION
ALLOWED_HOSTS = env.ALLOWED_HOSTS
ACTIONS = ["tasks.demo.flaky_gateway.action", "tasks.demo.order_processing.actions", *env.ACTIONS]
LEASE = env.LEASE
SWEEP = env.SWEEP
DRAIN_TIMEOUT = env.DRAIN_TIMEOUT
REDIS_URL = env.REDIS_URL
REDIS_IS_OURS = env.REDIS_IS_OURS
HOST = env.HOST
PORT = env.PORT
SERVER = env.SERVER
ADMIN_PASSWORD = env.ADMIN_PASSWORD
FAILPOINT = env.FAILPOINT

INSTALLED_APPS = [
    # daphne costs every process 26 MiB and half a second: it is an app only where `runserver` needs it.
    *(["daphne"] if "runserver" in sys.argv else []),
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "channels",
    "csp",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "tasks",
    "executions",
    "workers",
]

MIDDLEWARE = [
    "config.health.answer_health",
    "django.middleware.security.SecurityMiddleware",
    "config.compression.Compression",  # a board is repetitive: a twelfth of its size goes over the network
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "executions.board.page.page",
            ],
        },
    },
]

# Time and language

TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en-gb"
USE_I18N = False

# The database: SQLite in RUNBOARD_HOME, or PostgreSQL by DATABASE_URL. ATOMIC_REQUESTS stays off: with IMMEDIATE
# transactions it would take SQLite's only write lock for every page that is read.

SQLITE_OPTIONS = {
    "timeout": 30,
    "transaction_mode": "IMMEDIATE",
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=30000; "
        "PRAGMA mmap_size=134217728; PRAGMA journal_size_limit=27103364; PRAGMA cache_size=2000;"
    ),
}
# A process that stops in mid-transaction, or whose network died, must not hold the house.
POSTGRESQL_OPTIONS = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "options": "-c idle_in_transaction_session_timeout=10s -c lock_timeout=10s",
    "pool": {"min_size": 1, "max_size": 20, "timeout": 5},
}


def database() -> dict[str, Any]:
    if not env.DATABASE_URL:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": HOME / "db.sqlite3", "OPTIONS": SQLITE_OPTIONS}
    named: dict[str, Any] = environ.Env.db_url_config(env.DATABASE_URL)
    options = SQLITE_OPTIONS if named["ENGINE"].endswith("sqlite3") else POSTGRESQL_OPTIONS
    return {**named, "CONN_HEALTH_CHECKS": True, "OPTIONS": {**options, **named.get("OPTIONS", {})}}


DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Requests never touch Redis: sessions are rows, and the cache belongs to one process.

SESSION_ENGINE = "django.contrib.sessions.backends.db"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# Who comes in

LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = LOGIN_URL
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.1  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False  # its lists are empty here, but for attempts under way
AXES_VERBOSE = False

# What a browser is told

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.HTTPS
SECURE_SSL_REDIRECT = env.HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if env.HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.HTTPS else None

# What a request may bring; config/gate.py refuses more than BODY_LIMIT bytes before Django reads them.

BODY_LIMIT = 10_000_000
DATA_UPLOAD_MAX_MEMORY_SIZE = BODY_LIMIT
FILE_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

# Static files: with hashed names where `collectstatic` has run, else straight from the tree.

COLLECTED_DIR = BASE_DIR / "staticfiles"
STATIC_IS_COLLECTED = "collectstatic" in sys.argv or (COLLECTED_DIR / "staticfiles.json").exists()
STATIC_URL = "/static/"
STATIC_ROOT = COLLECTED_DIR if STATIC_IS_COLLECTED else None
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not STATIC_IS_COLLECTED
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_ALLOW_ALL_ORIGINS = False
HASHED = "whitenoise.storage.CompressedManifestStaticFilesStorage"
IN_PLACE = "django.contrib.staticfiles.storage.StaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": HASHED if STATIC_IS_COLLECTED else IN_PLACE},
}

# The JSON API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "executions.api.authentication.BearerAuthentication",
        "executions.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["executions.api.authentication.InScope"],
    "DEFAULT_PARSER_CLASSES": ["executions.api.parser.StrictParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "executions.api.pagination.Keyset",
    "DEFAULT_SCHEMA_CLASS": "executions.api.schema.Schema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "executions.api.problems.answer",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Runboard",
    "DESCRIPTION": "Tasks, plans, executions and the questions they ask. `docs/api.md` is a short guide.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "ExecutionPhase": "executions.api.serializers.PHASE_NAMES",
        "ExecutionState": "executions.api.serializers.STATES",
        "PlanState": "tasks.api.plans.STATES",
        "Priority": "tasks.models.PRIORITIES",
        "QuestionKind": "executions.models.QUESTION_KINDS",
        "QuestionState": "executions.api.serializers.QUESTION_STATES",
        "TaskKind": "tasks.api.tasks.KINDS",
        "WorkerState": "workers.api.STATES",
    },
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# Celery carries wake-ups and nothing else: the row is the truth, so a message may be lost, late or doubled.

WAKE_UP_APP = "config.celery.app"
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_SEND_SENT_EVENT = False
CELERY_TASK_TRACK_STARTED = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_POOL_ACQUIRE_TIMEOUT = 1.0
# Without these a half-open connection is waited on for ever.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "retry_on_timeout": False,
    "visibility_timeout": 300,
}

LOGGING = logs.LOGGING
