"""The health check, and what goes on while Redis or the database is away."""

import pickle
from typing import ClassVar

import msgspec
import pytest
import redis
from django.conf import settings
from django.core.cache import caches
from django.db import OperationalError, connection
from django.test import Client, override_settings
from django.utils import timezone

from accounts.services import register_account
from tests.embedded_servers import free_port
from waystone import cache as waystone_cache
from waystone.cache import PatientRedisCache
from waystone.celery import app as celery

PASSWORD = "lichen on the north side"  # noqa: S105  (of a person who exists only here)


@pytest.mark.django_db
def test_a_healthy_process_says_so_without_looking_at_the_caller(django_assert_num_queries):
    with django_assert_num_queries(1):
        answer = Client().get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.django_db
def test_without_the_database_the_check_fails(monkeypatch):
    def refuse(*args, **kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = Client(raise_request_exception=False).get("/healthz")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()


@pytest.mark.django_db
def test_a_fault_of_ours_is_a_problem_for_programs(monkeypatch):
    monkeypatch.setattr("worlds.api.list_body", lambda *args: 1 / 0)
    monkeypatch.setattr("worlds.api.kept", lambda key, make: ("", make()))
    answer = Client(raise_request_exception=False).get("/api/v1/worlds/")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "server_error"


def dead_redis() -> PatientRedisCache:
    return PatientRedisCache(f"redis://127.0.0.1:{free_port()}/0", {})


def test_while_redis_is_down_the_cache_is_this_processs_own():
    patient = dead_redis()
    assert patient.add("a", 1, 60) is True
    assert patient.add("a", 2, 60) is False
    assert patient.get("a") == 1
    patient.set("b", [1.5], 60)
    assert patient.get_many(["a", "b"]) == {"a": 1, "b": [1.5]}
    assert patient.incr("a") == 2
    assert patient.delete("a") is True
    assert patient.get("a") is None


def test_a_dead_redis_is_not_asked_again_at_once(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(waystone_cache.time, "monotonic", lambda: now)
    asked = []
    patient = dead_redis()
    real = waystone_cache.RedisCache.get
    monkeypatch.setattr(
        waystone_cache.RedisCache,
        "get",
        lambda self, *args, **kw: asked.append(now) or real(self, *args, **kw),
    )
    patient.get("a")
    patient.get("a")
    assert len(asked) == 1
    now += waystone_cache.RETRY_AFTER
    patient.get("a")
    assert len(asked) == 2


@pytest.mark.django_db
def test_log_in_goes_on_without_redis_and_is_still_limited(settings, client):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    location = f"redis://127.0.0.1:{free_port()}/0"
    dead = {"default": {"BACKEND": "waystone.cache.PatientRedisCache", "LOCATION": location}}
    with override_settings(CACHES=dead):
        caches["default"].clear()
        bob = register_account(email="bob@example.org", password=PASSWORD, now=timezone.now())
        right, wrong = ({"email": bob.email, "password": word} for word in (PASSWORD, "not this one"))
        send = {"path": "/api/v1/sessions/", "content_type": "application/json"}
        assert client.post(data=right, **send).status_code == 201
        statuses = [client.post(data=wrong, **send).status_code for _ in range(6)]
        assert statuses == [401] * 5 + [429]


class Planted:
    """What a pickle would run when it is read."""

    ran: ClassVar[list[bool]] = []

    def __reduce__(self):
        return (Planted.ran.append, (True,))


def test_what_somebody_wrote_into_redis_is_data_and_never_run():
    shared = caches["default"]
    shared.set("rates", [1.5, 2.5], 60)
    shared.set("count", 3, 60)
    assert (shared.get("rates"), shared.incr("count"), shared.get("count")) == ([1.5, 2.5], 4, 4)
    with redis.Redis.from_url(settings.CONFIG.redis_url) as by_hand:
        assert by_hand.get(shared.make_and_validate_key("rates")) == b"[1.5,2.5]"
        by_hand.set(shared.make_and_validate_key("planted"), pickle.dumps(Planted()))
    with pytest.raises(msgspec.DecodeError):
        shared.get("planted")
    assert not Planted.ran


def test_tasks_are_json_too():
    conf = celery.conf
    assert list(conf.accept_content) == ["json"]
    assert (conf.task_serializer, conf.result_serializer, conf.event_serializer) == ("json", "json", "json")
