"""Logging of every process: structlog and the standard library through one renderer.

JSON lines where a machine reads (supervised, or output to a file), colours on a terminal. Values of fields
whose name says that they are secret, or a person's, are replaced before anything is written.
"""

import logging
import os
import sys
from typing import Any

import structlog

SECRET_FIELDS = ("password", "token", "ticket", "secret", "authorization", "cookie", "email", "private_key")
REDACTED = "[redacted]"
LEVELS = {
    # It writes a traceback each second while Redis is down; worlds.bus says it once.
    "channels_redis.pubsub": logging.CRITICAL,
    "daphne": logging.WARNING,
    "django.channels.server": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "asyncio": logging.WARNING,
}


def redact(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Replace what must not be in a log; a structlog processor."""
    for name in event:
        if any(secret in name.lower() for secret in SECRET_FIELDS):
            event[name] = REDACTED
    return event


def name_request(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Put the request's id where Django's own lines have the request itself; a structlog processor.

    Written out it would hide the id, and show what follows the `?`: what people searched for, say.
    """
    if "request" in event and not isinstance(event["request"], str):
        event["request"] = structlog.contextvars.get_contextvars().get("request", "")
    return event


def for_terminals(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Escape what would steer a terminal: paths and texts of strangers are logged; a structlog processor."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = "".join(
                sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in value
            )
    return event


def _name_process(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    event.setdefault("process", os.environ.get("WAYSTONE_PROCESS", "manage"))
    return event


def configure(options: dict[str, Any]) -> None:
    """Set up logging; Django calls it with settings.LOGGING.

    Args: options: {"format": "json" or "console" or ""; "" means console on a terminal, else json}.
    """
    is_console = options["format"] == "console" or (not options["format"] and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_request,
        redact,
        _name_process,
    ]
    ending: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if is_console:
        ending.append(for_terminals)
        ending.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    else:
        ending += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()  # stderr
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared], processors=ending
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        if type(old) is logging.StreamHandler:  # not pytest's, which derive from it
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
