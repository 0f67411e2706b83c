"""What each role of staff may do, as one table; and the groups of the admin that follow from it.

Roles are groups: a superuser puts people into them on the account's page. What a group of a role may is this
table's to say and is set again after every migration, so it is not edited in the admin. Superusers may all;
alone they hand out roles and change schedules, which run code.
"""

from collections.abc import Iterable

import structlog
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import transaction

log = structlog.get_logger(__name__)

VIEW, ADD, CHANGE, DELETE = "view", "add", "change", "delete"
Rights = dict[str, tuple[str, ...]]  # app.model → verbs

_PEOPLE = ("accounts.account", "accounts.entitlement", "accounts.auditrecord", "account.emailaddress")
_MONEY = ("accounts.payment", "accounts.paymentnotice", "accounts.giftcode")
_CHARACTERS = (
    *("characters.character", "characters.line", "characters.version", "characters.fall"),
    "characters.formername",
    *("characters.valuable", "characters.valuableevent", "characters.worldbudget", "characters.gain"),
    *("characters.thinnedversions", "characters.letter", "characters.tradestop"),
)
_WORLDS = ("worlds.world", "worlds.ticket", "worlds.pseudonym", "worlds.alarm")
_PLAY = (
    *("worlds.playsession", "worlds.waitingplayer", "worlds.announcement", "worlds.quarantine"),
    *("worlds.restart", "worlds.zone", "worlds.zonecluster"),
)


def _may(models: Iterable[str], *verbs: str) -> Rights:
    return dict.fromkeys(models, verbs)


# Role → what it may. A row here is a row in tests/integration/waystone/test_staff_roles.py.
ROLES: dict[str, Rights] = {
    # Answers people: sees what is theirs, bans, ends sessions. Touches no money and no character.
    "Support": {
        **_may((*_PEOPLE, *_MONEY, *_CHARACTERS, *_WORLDS), VIEW),
        "accounts.account": (VIEW, CHANGE),
        "usersessions.usersession": (VIEW, DELETE),
    },
    # Keeps play fair: restores characters, takes worlds' writes back, stops trades, speaks in worlds.
    "Game masters": {
        **_may((*_CHARACTERS, *_WORLDS, *_PLAY, "accounts.account", "accounts.auditrecord"), VIEW),
        "accounts.account": (VIEW, CHANGE),
        "characters.line": (VIEW, CHANGE),
        "characters.fall": (VIEW, CHANGE),
        "characters.tradestop": (VIEW, ADD, DELETE),
        "worlds.announcement": (VIEW, ADD, DELETE),
        "worlds.quarantine": (VIEW, CHANGE),
    },
    # Money and what it bought.
    "Treasury": {
        **_may(("accounts.account", "accounts.auditrecord", "account.emailaddress"), VIEW),
        "accounts.entitlement": (VIEW, ADD),
        "accounts.payment": (VIEW, CHANGE),
        "accounts.paymentnotice": (VIEW,),
        "accounts.giftcode": (VIEW, ADD, CHANGE),
    },
    # All that is in the admin but groups, roles and schedules.
    "Administrators": {},
}
_OURS = ("accounts", "characters", "worlds", "account", "usersessions")


def rights_of(role: str) -> Rights:
    """Return what a role may; that of administrators follows from the models there are."""
    if role != "Administrators":
        return ROLES[role]
    models = (model for app in _OURS for model in apps.get_app_config(app).get_models())
    return {model._meta.label_lower: (VIEW, ADD, CHANGE, DELETE) for model in models}


def sync_roles() -> int:
    """Make the groups of all roles as the table says. Returns: how many were changed."""
    changed = 0
    with transaction.atomic():
        known = {
            (f"{app}.{model}", codename.partition("_")[0]): pk
            for pk, codename, app, model in Permission.objects.values_list(
                "pk", "codename", "content_type__app_label", "content_type__model"
            )
            if codename.endswith(f"_{model}")
        }
        for role in ROLES:
            asked = [(label, verb) for label, verbs in rights_of(role).items() for verb in verbs]
            # In the middle of migrating, models of later migrations have no permissions yet.
            wanted = {known[right] for right in asked if right in known}
            group, _ = Group.objects.get_or_create(name=role)
            if set(group.permissions.values_list("pk", flat=True)) != wanted:
                group.permissions.set(wanted)
                changed += 1
    if changed:
        log.info("staff_roles_set", changed=changed)
    return changed
