"""What /metrics says of a gateway. Nothing is counted here: it is all read from the hub."""

from collections.abc import Iterable
from dataclasses import fields

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from waystone.gateway.hub import Hub, Statistics
from worlds.observing import outbox_metrics

PREFIX = "waystone_gateway_"
TEXTS = {
    "opened": "World links that were opened.",
    "refused_full": "World links turned away since there were too many.",
    "frames_in": "Frames of players.",
    "frames_out": "Frames to players.",
    "commands": "Commands passed on.",
    "dropped_slow": "World links closed since they did not read.",
    "undeliverable": "Messages to links that were gone.",
}


class GatewayFigures:
    """A collector of prometheus_client."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering needs no reading."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read everything."""
        hub = self._hub
        in_play = sum(link.core.session is not None for link in list(hub.links.values()))
        yield GaugeMetricFamily(PREFIX + "links", "World links that are open.", value=len(hub.links))
        yield GaugeMetricFamily(PREFIX + "links_in_play", "World links of players in a world.", value=in_play)
        yield GaugeMetricFamily(PREFIX + "bus_up", "Whether the last batch was sent.", value=hub.is_bus_up)
        for each in fields(Statistics):
            value = getattr(hub.statistics, each.name)
            yield CounterMetricFamily(PREFIX + each.name, TEXTS[each.name], value=value)
        yield from outbox_metrics(PREFIX, hub.outbox)
