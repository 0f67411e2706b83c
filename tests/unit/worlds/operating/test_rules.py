"""Who may do what to a world."""

import pytest

from worlds.operating.rules import MAY, ROLE_WORDS, Deed, Role, may

# deed: owner, manager, moderator
TABLE = {
    Deed.LOOK: (True, True, True),
    Deed.MODERATE: (True, True, True),
    Deed.ANNOUNCE: (True, True, False),
    Deed.EDIT_PAGE: (True, True, False),
    Deed.RESTARTS: (True, True, False),
    Deed.MAINTENANCE: (True, True, False),
    Deed.SET_UP: (True, True, False),
    Deed.WEBHOOKS: (True, True, False),
    Deed.HISTORY: (True, True, False),
    Deed.KEYS: (True, False, False),
    Deed.KEEPERS: (True, False, False),
    Deed.HAND_OVER: (True, False, False),
}


@pytest.mark.parametrize("deed", Deed)
def test_each_deed_is_for_these_roles(deed):
    assert tuple(may(role, deed) for role in (Role.OWNER, Role.MANAGER, Role.MODERATOR)) == TABLE[deed]


@pytest.mark.parametrize("deed", Deed)
def test_who_keeps_nothing_may_nothing(deed):
    assert not may(None, deed)


def test_every_role_is_explained():
    assert set(MAY) == set(ROLE_WORDS) == set(Role)
