"""Who may do what to a world: keepers' roles, and the words of a world's page. Pure.

A keeper operates a world. Views, REST and templates ask this one table; whoever keeps no part of a world has
no role, and may nothing.
"""

from datetime import timedelta
from enum import StrEnum


class Role(StrEnum):
    """What a keeper is to a world. The owner is `World.owner`; the others are rows of WorldKeeper."""

    OWNER = "owner"
    MANAGER = "manager"
    MODERATOR = "moderator"


class Deed(StrEnum):
    """What a keeper may want to do. The value is what the audit and refusals call it."""

    LOOK = "look"  # the overview: state, players' number, next restart
    MODERATE = "moderate"  # see who plays; kick, mute, ban, and take it back
    ANNOUNCE = "announce"  # tell all players something
    EDIT_PAGE = "edit_page"  # texts, banner, tags, rules, message of the day
    RESTARTS = "restarts"  # the policy; plan, postpone, cancel
    MAINTENANCE = "maintenance"  # close the world to players, and open it
    SET_UP = "set_up"  # the set-up page: which steps succeeded
    KEYS = "keys"  # register, rotate and revoke keys of the world
    WEBHOOKS = "webhooks"
    HISTORY = "history"  # who did what to this world
    KEEPERS = "keepers"  # invite, change roles, remove
    HAND_OVER = "hand_over"  # make another keeper the owner


_MODERATOR = frozenset({Deed.LOOK, Deed.MODERATE})
_MANAGER = _MODERATOR | {
    Deed.ANNOUNCE,
    Deed.EDIT_PAGE,
    Deed.RESTARTS,
    Deed.MAINTENANCE,
    Deed.SET_UP,
    Deed.WEBHOOKS,
    Deed.HISTORY,
}
MAY: dict[Role, frozenset[Deed]] = {
    Role.OWNER: frozenset(Deed),
    Role.MANAGER: _MANAGER,
    Role.MODERATOR: _MODERATOR,
}
# In what role others may be invited: a world has one owner, who may hand it over.
GIVEN_ROLES = (Role.MANAGER, Role.MODERATOR)
ROLE_WORDS = {
    Role.OWNER: "May do everything, and names the other keepers.",
    Role.MANAGER: "Page, restarts, maintenance, players. No keys, and no say in who keeps the world.",
    Role.MODERATOR: "Players: kick, mute, ban.",
}

MAX_KEEPERS = 20  # of one world, with open invitations: a team, not a list of addresses to write to
INVITED_FOR = timedelta(days=7)


def may(role: Role | None, deed: Deed) -> bool:
    """Return whether somebody in this role may do it; None: keeps no part of the world."""
    return role is not None and deed in MAY[role]
