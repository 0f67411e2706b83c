"""Accounts for bots: made through the ORM by whoever runs the master, so no rate limit is opened to anybody.

They have no password, so nobody can log in as one: a session is made here for each run.
"""

import random
from dataclasses import dataclass

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from accounts.models import Account
from accounts.services import record_audit
from characters.selectors import characters_of
from characters.services import NameTaken, create_character

SYLLABLES = (
    "ba",
    "do",
    "fen",
    "gar",
    "hu",
    "jo",
    "ka",
    "mer",
    "nis",
    "pol",
    "ra",
    "sem",
    "tu",
    "vek",
    "wo",
    "zan",
)
SESSION_AGE_S = 24 * 3600
ATTEMPTS = 50  # names to try; there are 65,000


@dataclass(frozen=True)
class BotAccount:
    """A bot's log-in and its character's name."""

    token: str
    character: str


def prepare_bot(number: int) -> BotAccount:
    """Return bot `number`'s account with a fresh session and a character; made on first use."""
    now = timezone.now()
    account, is_new = Account.objects.get_or_create(email=f"bot-{number:04}@bots.invalid")
    if is_new:
        account.set_unusable_password()
        account.save(update_fields=["password"])
        EmailAddress.objects.create(user=account, email=account.email, primary=True, verified=True)
        record_audit(action="bot_account_made", account=account, target=str(account.uid), now=now)
    found = characters_of(account, now).characters
    playable = [character.name for character in found if not character.is_locked]
    return BotAccount(_session_of(account), playable[0] if playable else _new_character(account, number))


def _session_of(account: Account) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(account.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = account.get_session_auth_hash()
    session.set_expiry(SESSION_AGE_S)
    session.create()
    assert session.session_key is not None
    return session.session_key


def _new_character(account: Account, number: int) -> str:
    names = random.Random(number)
    for _ in range(ATTEMPTS):
        name = "".join(names.choice(SYLLABLES) for _ in range(4)).capitalize()
        try:
            return create_character(account=account, name=name, by=account, now=timezone.now()).name
        except NameTaken:
            continue
    raise RuntimeError(f"no free name for bot {number} in {ATTEMPTS} attempts")
