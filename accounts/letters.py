"""Letters: the mails that accounts get, plain text, from templates/account/email/.

Links in letters begin with the deployment's public address, never with a request's Host header: nobody can
have a link to their own host sent out. A letter that cannot be sent is logged and undoes nothing.
"""

import hashlib
from smtplib import SMTPException

import structlog
from django.conf import settings
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse

log = structlog.get_logger(__name__)

NOBODYS = ".invalid"  # RFC 2606: what stands where the address of a deleted account stood
QUIET_PERIOD = 180  # seconds between two letters that strangers can cause to one address


def public_url(name: str, **kwargs: str) -> str:
    """Return the public address of a page."""
    return settings.PUBLIC_URL + reverse(name, kwargs=kwargs or None)


def send_letter(*, template: str, to: str, context: dict[str, object]) -> bool:
    """Render `<template>_subject.txt` and `<template>_message.txt` and send them.

    Returns: False if the letter could not be handed over (logged with its cause), or its address was taken
        off when an account was deleted.
    """
    if to.endswith(NOBODYS):
        return False
    values = {"email": to, "site_url": settings.PUBLIC_URL, **context}
    subject = " ".join(render_to_string(f"{template}_subject.txt", values).split())
    body = render_to_string(f"{template}_message.txt", values).strip() + "\n"
    try:
        EmailMessage(subject, body, settings.DEFAULT_FROM_EMAIL, [to]).send()
    except (OSError, SMTPException) as error:
        log.error("letter_not_sent", template=template, cause=str(error))
        return False
    return True


def may_write_to(email: str) -> bool:
    """Return True once per address and quiet period: registering cannot be used to flood a mailbox."""
    digest = hashlib.sha256(email.encode()).hexdigest()
    return cache.add(f"letter:{digest}", True, timeout=QUIET_PERIOD)
