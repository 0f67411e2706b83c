"""Messages between two pages ("Saved.") in a cookie under the deployment's own name for it (settings)."""

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage


class CookieMessages(CookieStorage):
    """Django's, whose name of the cookie is fixed."""

    cookie_name = settings.MESSAGES_COOKIE_NAME


class Messages(FallbackStorage):
    """In the cookie what fits, the rest in the session (MESSAGE_STORAGE)."""

    storage_classes = (CookieMessages, SessionStorage)
