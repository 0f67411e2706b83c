"""kill -9 of the worker in the middle of a backup: nothing is left half-way, and the next one is whole."""

import os
import signal
import subprocess

from tests.embedded_servers import wait_until
from waystone.backups.cycle import look_after
from waystone.backups.database import own_database
from waystone.processes import worker_argv
from waystone.tasks import back_up_now
from worlds.models import Backup

DEADLINE_S = 60.0
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'waystone backups' AND wait_event_type = 'Lock' AND datname = current_database()
"""
LEFT = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'waystone backups' AND pid <> pg_backend_pid()
"""


def count(query: str) -> int:
    with own_database().connect() as opened:
        return int(opened.execute(query).fetchall()[0][0])


def test_the_next_one_ends_what_was_left_and_is_whole(
    backups, played, process_environment, tmp_path, databases
):
    config, before = backups(), databases()
    environment = {**process_environment, "WAYSTONE_BACKUP_DIR": str(config.folder)}
    with own_database().connect() as opened:
        opened.execute("LOCK TABLE accounts_account IN ACCESS EXCLUSIVE MODE")  # pg_dump stops here
        with (tmp_path / "worker.log").open("wb") as log:
            worker = subprocess.Popen(worker_argv(), env=environment, stdout=log, stderr=log)
        try:
            back_up_now.delay()
            wait_until(lambda: count(WAITING) > 0, DEADLINE_S, "pg_dump waits for the table")
        finally:
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
        assert Backup.objects.get().state == Backup.State.RUNNING
        assert list(config.folder.glob(".*.part"))
    wait_until(lambda: count(LEFT) == 0, DEADLINE_S, "pg_dump, which nobody reads, has ended")
    look_after(config, is_wanted=True)
    killed, made = Backup.objects.order_by("started_at", "pk")
    assert killed.state == Backup.State.FAILED and "ended before it was done" in killed.error
    assert made.state == Backup.State.PROVEN
    assert not list(config.folder.glob(".*")) and databases() == before
