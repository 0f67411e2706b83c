"""manage.py demo: the first start, and every later one."""

import stat
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Account, AuditRecord
from tests.integration.worlds.makers import make_play_session
from tests.unit.worlds.content.packs import encoded, good_pack
from worlds.content.importer import import_pack
from worlds.content.parse import parse_pack
from worlds.models import ContentPack, World, WorldKey, Zone, ZoneCluster, ZoneLink
from worlds.uplink.keys import load_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def config(settings, tmp_path: Path):
    settings.CONFIG = replace(
        settings.CONFIG,
        state_dir=tmp_path,
        role="all",
        world="demo",
        world_key_file=tmp_path / "keys" / "world-demo.pem",
        gateway_url="ws://127.0.0.1:8001/world-link/",
        udp_bind="127.0.0.1",
        udp_public_host="",
        udp_port_base=0,
    )
    return settings


def run_demo() -> str:
    out = StringIO()
    call_command("demo", stdout=out)
    return out.getvalue()


def test_first_run_makes_world_content_clusters_key_and_logins(config, tmp_path):
    text = run_demo()
    world = World.objects.get(slug="demo")
    assert world.tier == World.Tier.OFFICIAL
    assert world.gateway_url == "ws://127.0.0.1:8001/world-link/"
    assert Zone.objects.filter(world=world).count() >= 6
    assert set(ZoneCluster.objects.values_list("name", "udp_host", "udp_port")) == {
        ("east", "127.0.0.1", 0),
        ("west", "127.0.0.1", 0),
    }
    key = load_key(tmp_path / "keys" / "world-demo.pem")
    registered = WorldKey.objects.get(world=world)
    assert (registered.kid, bytes(registered.public_key)) == (key.kid, key.public_bytes)
    staff = Account.objects.get(email="staff@waystone.example")
    player = Account.objects.get(email="player@waystone.example")
    assert staff.is_staff and staff.is_superuser and not player.is_staff and not player.is_superuser
    passwords = [line.rsplit(" ", 1)[1] for line in text.splitlines() if "first password" in line]
    assert staff.check_password(passwords[0]) and player.check_password(passwords[1])
    file = tmp_path / "demo-login.txt"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(password in file.read_text() for password in passwords)


def test_second_run_changes_nothing_and_shows_the_same_logins(config):
    first = run_demo()
    rows = [
        list(model.objects.order_by("pk").values())
        for model in (World, Zone, ZoneLink, ZoneCluster, WorldKey)
    ]
    audits = AuditRecord.objects.count()
    second = run_demo()
    assert rows == [
        list(model.objects.order_by("pk").values())
        for model in (World, Zone, ZoneLink, ZoneCluster, WorldKey)
    ]
    assert AuditRecord.objects.count() == audits
    assert [line for line in first.splitlines() if "password" in line] == [
        line for line in second.splitlines() if "password" in line
    ]
    assert "unchanged" in second


def test_changed_ports_are_taken_over(config):
    run_demo()
    config.CONFIG = replace(
        config.CONFIG,
        gateway_url="wss://play.example.org/world-link/",
        udp_port_base=40000,
        udp_public_host="203.0.113.7",
    )
    run_demo()
    assert World.objects.get(slug="demo").gateway_url == "wss://play.example.org/world-link/"
    assert list(ZoneCluster.objects.order_by("name").values_list("name", "udp_port", "public_host")) == [
        ("east", 40000, "203.0.113.7"),
        ("west", 40001, "203.0.113.7"),
    ]


def test_a_lost_login_file_resets_nobodys_password(config, tmp_path):
    run_demo()
    before = list(Account.objects.order_by("pk").values_list("email", "password"))
    (tmp_path / "demo-login.txt").unlink()
    assert "not known any more" in run_demo()
    assert list(Account.objects.order_by("pk").values_list("email", "password")) == before


def test_passwords_written_before_a_crash_are_used(config, tmp_path):
    (tmp_path / "demo-login.txt").write_text('[staff]\npassword = "kept-from-before-1"\n')
    run_demo()
    assert Account.objects.get(email="staff@waystone.example").check_password("kept-from-before-1")


def test_an_unreadable_login_file_is_a_clear_error(config, tmp_path):
    (tmp_path / "demo-login.txt").write_text("not TOML")
    with pytest.raises(CommandError, match="move the file away"):
        run_demo()


def test_a_world_only_deployment_has_content_and_no_accounts(config):
    config.CONFIG = replace(config.CONFIG, role="world", world="mossy")
    text = run_demo()
    assert Zone.objects.filter(world__slug="mossy").exists()
    assert not Account.objects.exists()
    assert load_key(config.CONFIG.world_key_file).public_bytes.hex() in text


def test_content_and_ports_that_the_operator_chose_are_kept(config):
    run_demo()
    world = World.objects.get(slug="demo")
    pack, problems = parse_pack(encoded(good_pack()))
    assert pack is not None, problems
    import_pack(world=world, pack=pack, now=timezone.now())
    ZoneCluster.objects.filter(name="east").update(udp_port=41000)
    assert "keeps its own content" in run_demo()
    assert set(Zone.objects.values_list("slug", flat=True)) == {"quay", "hill"}
    assert ZoneCluster.objects.get(name="east").udp_port == 41000


def test_a_zone_in_play_that_newer_content_leaves_out_does_not_stop_the_start(config):
    run_demo()
    world = World.objects.get(slug="demo")
    kept = Zone.objects.create(world=world, slug="attic", name="Attic", size=50, entry_x=1, entry_y=1)
    ContentPack.objects.update(digest="of an older version")
    make_play_session(world, kept.slug, started_at=timezone.now())
    assert "Aria in attic" in run_demo()
    assert Zone.objects.filter(slug="attic").exists()


def test_another_world_beside_the_demo_has_a_name_of_its_own(config):
    run_demo()
    config.CONFIG = replace(
        config.CONFIG, world="mossy-end", world_key_file=config.CONFIG.state_dir / "m.pem"
    )
    run_demo()
    assert World.objects.get(slug="mossy-end").name == "Mossy End"
