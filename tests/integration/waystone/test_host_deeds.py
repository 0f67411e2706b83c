"""What staff can do to hosts in the admin: join codes, revocation, where a cluster runs; nobody else can."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_account, make_world
from worlds.hosts.handshake import digest_of, read_code
from worlds.models import Host, World, ZoneCluster

pytestmark = pytest.mark.django_db
DIALOG = {"_form_submitted": "on", "reason": "a second machine"}
DOOR = {"door": {"address": "10.0.0.1:8470", "fingerprint": "ab" * 32}}


@pytest.fixture
def world() -> World:
    return make_world("lantern", tier="official", host_status=DOOR)


@pytest.fixture
def host(world) -> Host:
    return Host.objects.create(world=world, name="second")


def lever(name: str, host: Host) -> str:
    return reverse(f"admin:worlds_host_{name}", args=[host.pk])


def test_a_join_code_is_shown_once_and_only_its_digest_is_kept(client, staff, host):
    answer = client.post(lever("make_code", host), DIALOG)
    told = str(next(iter(get_messages(answer.wsgi_request))))
    code = read_code(re.search(r"manage\.py hostagent --join (\S+)", told)[1])
    host.refresh_from_db()
    assert (code.world, code.address, code.fingerprint.hex()) == ("lantern", "10.0.0.1:8470", "ab" * 32)
    assert bytes(host.join_digest) == digest_of(code.secret)
    assert timedelta(minutes=59) < host.join_until - timezone.now() <= timedelta(hours=1)
    audit = AuditRecord.objects.get()
    assert (audit.action, audit.target, audit.account) == ("host_join_code_made", "lantern/second", staff)
    assert code.secret.hex() not in str(audit.detail) and code.text() not in str(audit.detail)


def test_without_a_door_there_is_no_code_and_staff_reads_what_to_set(client, staff, host):
    World.objects.update(host_status={})
    answer = client.post(lever("make_code", host), DIALOG)
    assert "WAYSTONE_HOSTS_BIND" in str(next(iter(get_messages(answer.wsgi_request))))
    host.refresh_from_db()
    assert host.join_digest is None and not AuditRecord.objects.exists()


def test_a_host_is_revoked_with_key_and_code(client, staff, host):
    Host.objects.update(public_key=bytes(32), join_digest=bytes(32), join_until=timezone.now())
    assert client.post(lever("revoke_key", host), DIALOG | {"reason": ""}).status_code == 200
    client.post(lever("revoke_key", host), DIALOG)
    host.refresh_from_db()
    assert (host.public_key, host.join_digest, host.join_until) == (None, None, None)
    assert list(AuditRecord.objects.values_list("action", "account")) == [("host_revoked", staff.pk)]
    assert client.post(lever("revoke_key", host), DIALOG).status_code == 403, "there is nothing to revoke"


def test_a_cluster_gets_a_host_of_its_own_world_only(client, staff, world, host):
    cluster = ZoneCluster.objects.create(world=world, name="east", udp_port=0)
    elsewhere = Host.objects.create(world=make_world("other"), name="third")
    page = reverse("admin:worlds_zonecluster_change", args=[cluster.pk])
    fields = {
        "udp_host": "127.0.0.1",
        "udp_port": 0,
        "public_host": "",
        "max_players": 10,
        "is_enabled": "on",
    }
    refused = client.post(page, fields | {"host": elsewhere.pk})
    assert refused.status_code == 200 and "host of another world" in refused.content.decode()
    assert client.post(page, fields | {"host": host.pk}).status_code == 302
    cluster.refresh_from_db()
    assert cluster.host == host
    assert AuditRecord.objects.get().action == "zonecluster_changed_by_staff"


def test_the_page_shows_what_the_agent_reports(client, staff, world, host):
    runs = [
        {
            "name": "east",
            "state": "ready",
            "pid": 7,
            "generation": 3,
            "deaths": 0,
            "reason": "killed by SIGKILL",
        }
    ]
    status = {"cores": 2.0, "memory_mb": 4096, "free_memory_mb": 1024, "load": 0.5, "clusters": runs}
    Host.objects.update(public_key=bytes(32), status=status, last_seen_at=timezone.now())
    page = client.get(reverse("admin:worlds_host_change", args=[host.pk])).content.decode()
    for text in ("connected", "2 cores, load 0.5, 1024 of 4096 MB free", "killed by SIGKILL"):
        assert text in page
    Host.objects.update(last_seen_at=timezone.now() - timedelta(minutes=5))
    assert "silent" in client.get(reverse("admin:worlds_host_change", args=[host.pk])).content.decode()


@pytest.mark.parametrize("role", ["anonymous", "player", "clerk", "viewer"])
def test_others_make_no_codes_and_revoke_nothing(client, host, role):
    Host.objects.update(public_key=bytes(32))
    status = 302 if role in ("anonymous", "player") else 403
    if role != "anonymous":
        account = make_account("mallory", is_staff=role != "player")
        if role == "viewer":
            account.user_permissions.set(
                Permission.objects.filter(codename__in=["view_host", "change_world"])
            )
        client.force_login(account)
    for name in ("make_code", "revoke_key"):
        assert client.get(lever(name, host)).status_code == status
        assert client.post(lever(name, host), DIALOG).status_code == status
    host.refresh_from_db()
    assert (host.public_key, host.join_digest) == (bytes(32), None) and not AuditRecord.objects.exists()
