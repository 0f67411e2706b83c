"""What no text has in it is refused before anybody looks for it."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "address",
    ["/worlds/?q=a%00b", "/api/v1/worlds/?search=%00", "/worlds/?%00=1", "/admin/?q=%00"],
)
def test_an_address_with_nul_is_a_bad_request(address: str) -> None:
    client = Client(raise_request_exception=False)
    answer = client.get(address)
    assert answer.status_code == 400
    assert "Content-Security-Policy" in answer.headers
    is_rest = address.startswith("/api/")
    assert answer.headers["Content-Type"].startswith("application/problem+json" if is_rest else "text/html")


def test_a_path_with_nul_leads_nowhere() -> None:
    assert Client().get("/worlds/a%00b/").status_code == 404


def test_what_only_looks_like_it_is_searched_for() -> None:
    assert Client().get("/worlds/?q=%2500").status_code == 200
