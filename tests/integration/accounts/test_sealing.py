"""The audit record in a real PostgreSQL: sealed after the commit, kept as it is, and checked."""

import json
from threading import Event, Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.audit_chain import Head
from accounts.models import AuditRecord
from accounts.sealing import LOCK, chain_head, check_audit, seal_audit
from accounts.services import record_audit
from tests.integration.worlds.makers import make_account

PATIENCE = 30  # seconds; other tests have the machine, too


def write(*actions: str) -> list[AuditRecord]:
    return [record_audit(action=action, target="x", now=timezone.now()) for action in actions]


def with_the_guard_off(statement: str, *values: object) -> None:
    """Do what only the database's owner can: change the record behind the trigger's back."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is deferred would keep the table as it is
        cursor.execute("ALTER TABLE accounts_auditrecord DISABLE TRIGGER accounts_audit_stays")
        cursor.execute(statement, values)
        cursor.execute("ALTER TABLE accounts_auditrecord ENABLE TRIGGER accounts_audit_stays")


@pytest.mark.django_db
class TestSealing:
    def test_rows_get_places_in_order_once(self):
        rows = write("a", "b", "c")
        assert (seal_audit(), seal_audit()) == (3, 0)
        places = AuditRecord.objects.order_by("position").values_list("pk", "position")
        assert list(places) == [(row.pk, number) for number, row in enumerate(rows, 1)]
        head = chain_head()
        write("d")
        assert seal_audit() == 1
        assert chain_head().position == 4
        assert check_audit(expected=head).faults == []

    def test_what_documents_hold_comes_back_as_it_was_sealed(self):
        detail = {"z": 1.0, "a": [0.1, 1e300, -0.0, 2**70, None, True], "ü": '☃ 🜁 \\ " é', "": {}}
        record_audit(action="odd", now=timezone.now(), detail=detail, before={}, after={"b": 1e-7})
        record_audit(action="none", now=timezone.now())
        seal_audit()
        assert check_audit().faults == []

    def test_the_database_refuses_to_change_or_delete_rows(self):
        (row,) = write("a")
        seal_audit()
        (open_row,) = write("b")
        for one in (row, open_row):
            mine = AuditRecord.objects.filter(pk=one.pk)
            for change in (
                {"action": "c"},
                {"detail": {"x": 1}},
                {"position": 9, "chain": b"c", "target": "y"},
            ):
                with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
                    mine.update(**change)
            with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
                mine.delete()
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            AuditRecord.objects.create(action="forged", position=2, chain=b"x" * 32)
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            AuditRecord.objects.filter(pk=row.pk).update(position=7)

    def test_an_account_with_deeds_stays(self):
        alice = make_account("alice")
        record_audit(action="a", account=alice, now=timezone.now())
        with pytest.raises(IntegrityError):
            alice.delete()

    def test_a_change_behind_the_trigger_s_back_is_found(self):
        write("a", "b", "c")
        seal_audit()
        with_the_guard_off("UPDATE accounts_auditrecord SET target = 'y' WHERE position = %s", 2)
        (fault,) = check_audit().faults
        assert fault.startswith("Position 2 ")
        with_the_guard_off("DELETE FROM accounts_auditrecord WHERE position = %s", 2)
        assert check_audit().faults[0] == "Position 2 is gone."


@pytest.mark.django_db
class TestCommand:
    def check(self, capsys, *arguments: str) -> str:
        call_command("checkaudit", *arguments)
        return capsys.readouterr().out

    def test_tells_the_head_and_what_waits(self, capsys):
        assert "0 rows" in self.check(capsys)
        write("a", "b")
        seal_audit()
        write("c")
        text = self.check(capsys)
        assert "2 rows in one unbroken chain" in text and "Not sealed yet: 1 rows" in text
        answer = json.loads(self.check(capsys, "--json", "--expect", str(chain_head())))
        assert (answer["holds"], answer["sealed"], answer["waiting"]) == (True, 2, 1)
        assert answer["head"] in text

    def test_a_record_that_does_not_hold_is_exit_code_1(self, capsys):
        write("a", "b")
        seal_audit()
        kept = str(chain_head())
        with_the_guard_off("DELETE FROM accounts_auditrecord WHERE position = %s", 2)
        assert "1 rows in one unbroken chain" in self.check(capsys)
        with pytest.raises(CommandError) as refusal:
            self.check(capsys, "--expect", kept)
        assert refusal.value.returncode == 1
        assert "cut off, or written anew" in capsys.readouterr().out

    def test_what_is_no_head_is_refused_with_what_one_looks_like(self):
        with pytest.raises(CommandError, match="position:hash") as refusal:
            call_command("checkaudit", "--expect", "5")
        assert refusal.value.returncode == 2


@pytest.mark.django_db(transaction=True)
class TestTogether:
    def test_who_commits_late_is_sealed_later_and_keeps_nobody_waiting(self):
        is_written, may_commit = Event(), Event()

        def write_slowly() -> None:
            try:
                with transaction.atomic():
                    write("slow")
                    is_written.set()
                    assert may_commit.wait(PATIENCE)
            finally:
                connection.close()

        slow = Thread(target=write_slowly)
        slow.start()
        assert is_written.wait(PATIENCE)
        write("quick")
        assert seal_audit() == 1
        may_commit.set()
        slow.join(PATIENCE)
        assert seal_audit() == 1
        in_order = AuditRecord.objects.order_by("position").values_list("action", flat=True)
        assert list(in_order) == ["quick", "slow"]
        assert check_audit().faults == []

    def test_one_seals_at_a_time_and_writers_do_not_notice(self):
        is_held, may_end = Event(), Event()

        def hold() -> None:
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
                    is_held.set()
                    assert may_end.wait(PATIENCE)
            finally:
                connection.close()

        holder = Thread(target=hold)
        holder.start()
        assert is_held.wait(PATIENCE)
        write("a")
        assert seal_audit() == 0
        may_end.set()
        holder.join(PATIENCE)
        assert seal_audit() == 1

    def test_many_writers_and_sealers_make_one_chain(self):
        errors: list[Exception] = []

        def work(number: int) -> None:
            try:
                for turn in range(10):
                    with transaction.atomic():
                        write(f"{number}-{turn}", f"{number}-{turn}-too")
                    if turn % 3 == number % 3:
                        seal_audit()
            except Exception as error:  # noqa: BLE001  (told below: a thread's own would be lost)
                errors.append(error)
            finally:
                connection.close()

        threads = [Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        seal_audit()
        assert errors == []
        report = check_audit()
        assert (report.head.position, report.faults, report.waiting) == (80, [], 0)


def test_the_first_head_is_that_of_an_empty_chain():
    assert str(Head()) == "0:" + "00" * 32
