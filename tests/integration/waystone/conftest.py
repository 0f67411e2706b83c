"""Who works in the admin."""

import pytest

from accounts.models import Account
from tests.integration.worlds.makers import make_account


@pytest.fixture
def staff(client) -> Account:
    """A superuser who is logged in."""
    account = make_account("staff", is_staff=True, is_superuser=True)
    client.force_login(account)
    return account
