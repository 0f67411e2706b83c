"""Django's settings. Everything that differs between deployments comes from waystone.config."""

import os
from urllib.parse import parse_qs, unquote, urlsplit

from waystone.config import ROOT, Config
from waystone.shop_config import payment_variants
from waystone.unfold_settings import UNFOLD  # noqa: F401  (a setting)

CONFIG = Config.load()

# Compiled code of the zone link's packets is kept here: the clone itself may be read-only. Before numba is
# imported, which reads it once.
os.environ.setdefault("NUMBA_CACHE_DIR", str(CONFIG.state_dir / "cache" / "numba"))


def database_from_url(url: str) -> dict[str, object]:
    """Return Django's DATABASES entry for a postgresql:// URL; `?host=/folder` means its Unix socket.

    Raises: ValueError: not a postgresql:// URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ValueError("DATABASE_URL: expected postgresql://user:password@host:port/name")
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": options.pop("port", str(parts.port or "")),
        "OPTIONS": options,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


def mail_from_url(url: str) -> dict[str, object]:
    """Return Django's EMAIL_ settings for smtp://, smtp+tls:// (STARTTLS), smtps://; empty: letters to files.

    Raises: ValueError: another kind of URL, or no host.
    """
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend"}
    parts = urlsplit(url)
    ports = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
    if parts.scheme not in ports or not parts.hostname:
        raise ValueError(
            "WAYSTONE_SMTP_URL: expected smtp://, smtp+tls:// or smtps://user:password@host:port"
        )
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or ports[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
    }


def rate_limits(public_url: str) -> dict[str, str]:
    """Return the limits on registering and logging in that depend on who can reach the site.

    A site at a loopback address has one person for all its callers, and that person runs bots.
    """
    own = {"login_failed_anywhere": "100/h/key", "export": "5/h/user"}
    if not is_local(public_url):
        return own
    return {**own, "signup": "600/m/ip", "login": "600/m/ip", "login_failed": "600/m/ip,5/5m/key"}


def host_cookie(name: str, public_url: str) -> str:
    """Return a cookie's name. Browsers let nobody but this very host, by https, set one with the prefix."""
    return f"__Host-{name}" if public_url.startswith("https://") else name


def hsts_seconds(public_url: str) -> int:
    """Return how long browsers are told to come by https alone: a year, if the site can be reached so."""
    return 365 * 24 * 3600 if public_url.startswith("https://") else 0


def is_local(public_url: str) -> bool:
    """Return whether the site can be reached from this machine only."""
    return urlsplit(public_url).hostname in ("127.0.0.1", "localhost", "::1")


def allowances(public_url: str) -> dict[str, int]:
    """Return how many REST requests a caller has in a minute, by policy; a local site's caller runs bots."""
    factor = 100 if is_local(public_url) else 1
    return {"default": 600 * factor, "public": 1200 * factor}


# A command that needs no database (makemigrations --check, schema) may run before `up` has made one.
NO_DATABASE_YET = "postgresql://waystone@127.0.0.1:1/waystone"

PUBLIC_URL = CONFIG.public_url.rstrip("/")  # links in letters begin with it
SECRET_KEY = CONFIG.secret_key or "not-a-secret: commands run before `manage.py up` has made one"
DEBUG = CONFIG.debug
ALLOWED_HOSTS = list(CONFIG.allowed_hosts)
CSRF_TRUSTED_ORIGINS = [CONFIG.public_url]

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "django_celery_beat",
    "allauth",
    "allauth.account",
    "allauth.headless",
    "allauth.mfa",
    "allauth.usersessions",
    "accounts",
    "worlds",
    "characters",
    "zonecluster",
    "waystone",
]

MIDDLEWARE = [
    "waystone.observing.requests.observed_requests",
    "django.middleware.security.SecurityMiddleware",
    "waystone.security.content_security_policy",
    "waystone.private_answers.never_kept",
    "waystone.plain_addresses.NulIsABadRequest",
    "accounts.allowances.rest_headers",
    "worlds.public_answers.kept_first",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.staff_gate.StaffSecondFactor",
    "accounts.middleware.PasswordCheckBusyMiddleware",
]

if CONFIG.role == "world":  # the site and REST are the master's
    MIDDLEWARE.insert(2, "waystone.world_only.WorldOnly")

ROOT_URLCONF = "waystone.urls"
WSGI_APPLICATION = "waystone.wsgi.application"
ASGI_APPLICATION = "waystone.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database_from_url(CONFIG.database_url or NO_DATABASE_YET)}

CACHES = {
    "default": {
        "BACKEND": "waystone.cache.PatientRedisCache",
        "LOCATION": CONFIG.redis_url or "redis://127.0.0.1:1/0",
        "KEY_PREFIX": "waystone",
    }
}

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [CONFIG.redis_url or "redis://127.0.0.1:1/0"], "prefix": "waystone"},
    }
}

AUTH_USER_MODEL = "accounts.Account"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["accounts.passwords.GatedArgon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "accounts.guessable.GuessableValidator"},
]

PASSWORD_RESET_TIMEOUT = 3600  # seconds: a mailbox may be read later by somebody else

ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
# Who has not confirmed may log in and look around; to play they must (worlds.tickets). allauth's "mandatory"
# would leave them before a closed door with a letter that may not have come.
ACCOUNT_EMAIL_VERIFICATION = "optional"
EMAIL_CONFIRMATION_NEEDED = {"yes": True, "no": False}.get(CONFIG.confirm_email, not is_local(PUBLIC_URL))
# A site that only its own machine can reach opens its admin by password, so that it can be tried at once.
STAFF_MFA_REQUIRED = {"yes": True, "no": False}.get(CONFIG.staff_mfa, not is_local(PUBLIC_URL))
ACCOUNT_CHANGE_EMAIL = True  # one address; a new one takes its place when it is confirmed
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # before another address, an export, deletion
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_FORMS = {
    "login": "accounts.forms.LogInForm",
    "reset_password": "accounts.forms.LostPasswordForm",
    "reset_password_from_key": "accounts.forms.NewPasswordForm",
    "change_password": "accounts.forms.ChangePasswordForm",
    "reauthenticate": "accounts.forms.AgainForm",
    "add_email": "accounts.forms.NewAddressForm",
}
MFA_ADAPTER = "accounts.mfa_adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Waystone"
MFA_TOTP_TOLERANCE = 1  # codes of the half minute before and after: clocks differ
MFA_RECOVERY_CODE_DIGITS = 12
MFA_FORMS = {
    "authenticate": "accounts.mfa_forms.CodeForm",
    "authenticate_webauthn": "accounts.mfa_forms.PasskeyForm",
    "reauthenticate_webauthn": "accounts.mfa_forms.PasskeyAgainForm",
    "login_webauthn": "accounts.mfa_forms.PasskeyLogInForm",
    "reauthenticate": "accounts.mfa_forms.CodeAgainForm",
    "activate_totp": "accounts.mfa_forms.FirstCodeForm",
    "add_webauthn": "accounts.mfa_forms.NewPasskeyForm",
    "edit_webauthn": "accounts.mfa_forms.RenamePasskeyForm",
}
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True  # a letter when the password was changed
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = True  # lost password, unknown address: a letter as well
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_RATE_LIMITS = rate_limits(PUBLIC_URL)  # the other ones are allauth's own
ALLAUTH_TRUSTED_PROXY_COUNT = CONFIG.trusted_proxies
HEADLESS_CLIENTS = ("app",)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "my_characters"
LOGOUT_REDIRECT_URL = "home"
ACCOUNT_LOGOUT_REDIRECT_URL = "home"

SHOP = CONFIG.shop  # accounts.shop reads it; django-payments is told the rest
PAYMENT_MODEL = "accounts.Payment"
PAYMENT_HOST = urlsplit(PUBLIC_URL).netloc
PAYMENT_USES_SSL = PUBLIC_URL.startswith("https://")
PAYMENT_VARIANTS = payment_variants(SHOP)

EMAIL_FILE_PATH = CONFIG.mail_dir
EMAIL_TIMEOUT = 10  # seconds; a mail server that hangs must not hold a web thread
DEFAULT_FROM_EMAIL = CONFIG.mail_from
globals().update(mail_from_url(CONFIG.smtp_url))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.token_authentication.ApiTokenAuthentication",
        "accounts.authentication.SessionTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    # Forgetting to name a permission locks an endpoint, never opens it.
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["waystone.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["accounts.allowances.AllowanceThrottle"],
    "EXCEPTION_HANDLER": "waystone.problems.problem_response",
}
API_ALLOWANCES = allowances(PUBLIC_URL)
SPECTACULAR_SETTINGS = {
    "TITLE": "Waystone",
    "DESCRIPTION": "Register, list worlds, manage characters and get tickets to play.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "OAS_VERSION": "3.1.1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "waystone.rest_description.complete",
    ],
}

CELERY_BROKER_URL = CONFIG.redis_url
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "waystone:celery:"}

LOGGING_CONFIG = "waystone.logs.configure"
LOGGING = {"format": CONFIG.log_format}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = ["waystone.formats"]

STATIC_URL = "static/"
STATIC_ROOT = CONFIG.state_dir / "static"
STATICFILES_DIRS = [ROOT / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

SESSION_ENGINE = "accounts.session_store"
SESSION_COOKIE_AGE = 14 * 24 * 3600  # seconds after the log-in
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CONFIG.public_url.startswith("https://")
SESSION_COOKIE_NAME = host_cookie("sessionid", CONFIG.public_url)
CSRF_COOKIE_NAME = host_cookie("csrftoken", CONFIG.public_url)
MESSAGES_COOKIE_NAME = host_cookie("messages", CONFIG.public_url)
MESSAGE_STORAGE = "waystone.message_cookies.Messages"
if CONFIG.trusted_proxies:  # only then is the header our own proxy's
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = hsts_seconds(CONFIG.public_url)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
