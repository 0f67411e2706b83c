"""Figures of the whole deployment, read from its database when somebody looks."""

from collections.abc import Iterable

from django.conf import settings
from django.db import Error, connection
from django.db.models import Count
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from waystone.backups.cycle import last_proven_at
from worlds.models import Alarm
from worlds.selectors import platform_population

PREFIX = "waystone_deployment_"


class DeploymentFigures:
    """A collector of prometheus_client. A database that does not answer makes it say so, and nothing else."""

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering needs no reading."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read everything, in a handful of queries."""
        try:
            found = [*self._population(), self._alarms(), *self._backups()]
        except Error:  # DatabaseError, or InterfaceError of a connection that has ended
            found = []
        finally:
            connection.close()  # the thread that serves these pages asks once in a while
        yield GaugeMetricFamily(PREFIX + "database_up", "Whether the database answers.", value=bool(found))
        yield from found

    def _population(self) -> Iterable[Metric]:
        if settings.CONFIG.role == "world":
            return
        population = platform_population(timezone.now())
        yield _gauge("players", "Leases in force: players in worlds.", population.players)
        yield _gauge("worlds_online", "Worlds that have reported within 15 s.", population.worlds_online)
        yield _gauge("worlds", "Worlds on the list.", population.worlds)

    def _alarms(self) -> Metric:
        counts = dict(
            Alarm.objects.filter(ended_at=None).values_list("level").annotate(total=Count("pk")).order_by()
        )
        family = GaugeMetricFamily(
            PREFIX + "alarms", "Alarms that last, by how urgent they are.", labels=["level"]
        )
        for level in Alarm.Level.values:
            family.add_metric([level], counts.get(level, 0))
        return family

    def _backups(self) -> Iterable[Metric]:
        last = last_proven_at()
        if last is not None:
            age_s = (timezone.now() - last).total_seconds()
            yield _gauge("proven_backup_age_seconds", "Since a backup was proven by a restore.", age_s)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)
