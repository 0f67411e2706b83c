from collections import Counter
from uuid import UUID

import numpy as np
import pytest

from tests.benchmark import workloads
from tests.benchmark.cli import WORKLOADS
from tests.benchmark.workloads import SIZE, Talkers, places, zone_content
from zonecluster.protocol.from_client import Describe, Look


def test_the_command_line_offers_every_workload():
    assert WORKLOADS == workloads.WORKLOADS


@pytest.mark.parametrize("workload", WORKLOADS)
def test_everybody_stands_in_the_zone(workload):
    found = places(500, workload, np.random.default_rng(1))
    assert found.shape == (500, 2)
    assert (found >= 0).all() and (found <= SIZE).all()


def test_half_of_the_hot_spots_players_stand_within_100_m_of_each_other():
    found = places(1000, "hotspot", np.random.default_rng(1))[::2]
    assert np.hypot(*(found - SIZE / 2).T).max() <= 50


def test_the_box_is_64_m_wide():
    assert (np.ptp(places(1000, "box", np.random.default_rng(1)), axis=0) <= 64).all()


def test_only_the_farm_has_creatures():
    counts = {workload: zone_content(10, workload).creature_count() for workload in WORKLOADS}
    assert counts.pop("farm") == 2000
    assert set(counts.values()) == {0}


def test_talkers_send_at_their_rate_and_everybody_in_turn():
    sessions = [UUID(int=number) for number in range(7)]
    talkers = Talkers(sessions, per_s=30)
    sent = [message for _ in range(20) for message in talkers.next_tick()]
    assert len(sent) == 7 * 30
    assert set(Counter(message.session for message in sent).values()) == {30}
    kinds = Counter(type(message.command) for message in sent)
    assert abs(kinds[Look] - kinds[Describe]) <= 2 and set(kinds) == {Look, Describe}
