"""What a modelled zone cluster does for moves. Of what is in an instance only the ground is modelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from zonecluster.protocol import bus

if TYPE_CHECKING:
    from tests.model_cluster import ModelCluster


class ModelCopies:
    """The copies of one cluster that moves have to do with, and what lies on the ground in all of them."""

    def __init__(self, cluster: ModelCluster) -> None:
        self.cluster = cluster
        self.ground: dict[int, list[int]] = {}  # by instance: numbers of things
        self.vacant: dict[int, tuple[int, bool]] = {}  # instance → move, and whether it was taken over
        self.exported: dict[int, int] = {}  # instance → move
        self.fences: dict[int, int] = {}  # instance → the newest move that has ended

    def is_still(self, number: int) -> bool:
        return number in self.vacant or number in self.exported

    def open(self, m: bus.OpenInstance) -> None:
        c, number = self.cluster, m.instance
        is_of_move = m.move > self.fences.get(number, 0)
        if is_of_move and self.vacant.get(number, (0, False))[0] != m.move:
            if c.is_inhabited(number):
                c.say(bus.InstanceOpened(c.name, c.incarnation, number, "players are in it"))
                return
            c.instances[number] = m.zone
            self.forget(number)
            self.vacant[number] = (m.move, False)
        elif m.move and number not in c.instances:
            return
        elif not m.move and number in self.vacant:
            del self.vacant[number]
            self.ground.pop(number, None)
        c.instances[number] = m.zone
        c.say(bus.InstanceOpened(c.name, c.incarnation, number))

    def forget(self, number: int) -> None:
        for each in (self.ground, self.vacant, self.exported):
            each.pop(number, None)

    def take(self, m: bus.BusMessage) -> None:
        c, number = self.cluster, m.instance
        if number not in c.instances:
            return
        match m:
            case bus.ExportInstance():
                if m.move > self.fences.get(number, 0) and number not in self.vacant:
                    self.exported[number] = m.move
                    cargo = msgspec.json.encode(self.ground.get(number, []))
                    c.say(bus.InstanceExported(c.name, c.incarnation, number, m.move, cargo))
            case bus.ImportInstance():
                is_vacant = self.vacant.get(number, (0, False))[0] == m.move
                if is_vacant:
                    self.vacant[number] = (m.move, True)
                    self.ground[number] = msgspec.json.decode(m.cargo)
                error = "" if is_vacant else "it is not vacant"
                c.say(bus.InstanceImported(c.name, c.incarnation, number, m.move, error))
            case bus.ActivateInstance():
                if self.vacant.get(number, (0, False))[0] == m.move:
                    del self.vacant[number]
                    self.fences[number] = m.move
            case bus.ResumeInstance():
                self.fences[number] = max(m.move, self.fences.get(number, 0))
                if self.exported.get(number, m.move + 1) <= m.move:
                    del self.exported[number]
                    if m.is_emptied:
                        self.ground.pop(number, None)
