"""waystone.env: made on the first start, completed later, never overwritten."""

import stat

import pytest

from waystone.config import read_env_file
from waystone.supervisor import environment
from waystone.supervisor.environment import PORT_OFFSETS, complete_env_file


class Reservation:
    """Stands for the socket that reserves a block."""


@pytest.fixture
def block(monkeypatch):
    reservation = Reservation()
    monkeypatch.setattr(environment, "reserve_block", lambda bind: (8120, reservation))
    monkeypatch.setattr(environment, "reserve_again", lambda ports: [("again", *ports)])
    return reservation


def test_a_first_start_writes_a_secret_key_and_a_block_of_ports(tmp_path, block):
    path = tmp_path / "waystone.env"
    assert block in complete_env_file(path, {})
    values = read_env_file(path)
    assert len(values["WAYSTONE_SECRET_KEY"]) >= 50
    assert {name: int(values[name]) for name in PORT_OFFSETS} == {
        name: 8120 + offset for name, offset in PORT_OFFSETS.items()
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_start_changes_nothing_and_reserves_its_ports_again(tmp_path, block):
    path = tmp_path / "waystone.env"
    complete_env_file(path, {})
    before = path.read_bytes()
    assert complete_env_file(path, {"WAYSTONE_WEB_PORT": "9000"}) == [("again", 9000, 8121, 8122, 8123, 8124)]
    assert path.read_bytes() == before


def test_what_the_owner_wrote_stays_and_what_is_missing_is_added(tmp_path, block):
    path = tmp_path / "waystone.env"
    path.write_text("# mine\nWAYSTONE_WEB_PORT=9000\n")
    complete_env_file(path, {"WAYSTONE_GATEWAY_PORT": "9001"})
    assert path.read_text().startswith("# mine\nWAYSTONE_WEB_PORT=9000\n")
    values = read_env_file(path)
    assert values["WAYSTONE_WEB_PORT"] == "9000"
    assert "WAYSTONE_GATEWAY_PORT" not in values  # the environment says it
    assert values["WAYSTONE_VALKEY_PORT"] == "8123"


def test_a_broken_line_is_named_with_its_number(tmp_path, block):
    path = tmp_path / "waystone.env"
    path.write_text("WAYSTONE_WEB_PORT=9000\nthis is no setting\n")
    with pytest.raises(ValueError, match=r"waystone\.env:2: expected KEY=value"):
        complete_env_file(path, {})
