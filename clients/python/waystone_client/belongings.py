"""What a character has, and its alliance: commands of the world link, as methods. Part of a `Player`.

Each raises Refusal or LinkLost. A change is answered once it is durable: after a LinkLost ask `inventory`.
"""

from uuid import UUID

from waystone_client.world_link import WorldLink
from zonecluster.protocol.from_client import (
    AllianceAnswer,
    AllianceInvite,
    AllianceLeave,
    Buy,
    Drop,
    Equip,
    FromClient,
    Inventory,
    Loot,
    Merge,
    Move,
    PickUp,
    Sell,
    Split,
    Unequip,
    Wares,
)
from zonecluster.protocol.to_client import InventoryIs, Result, WaresAre


class Belongings:
    """Bags and money of the character in play. Entities are ids from snapshots; kinds are slugs."""

    def __init__(self, link: WorldLink) -> None:
        self._link = link

    async def inventory(self) -> InventoryIs:
        """Ask what the character has."""
        answer = await self._link.command(Inventory)
        assert isinstance(answer, InventoryIs)
        return answer

    async def wares(self, vendor: int) -> WaresAre | Result:
        """Ask what a vendor sells and buys; a Result tells why not."""
        answer = await self._link.command(Wares, entity=vendor)
        assert isinstance(answer, WaresAre | Result)
        return answer

    async def buy(self, vendor: int, kind: str, count: int = 1) -> Result:
        """Buy from a vendor within reach."""
        return await _result(self._link, Buy, entity=vendor, kind=kind, count=count)

    async def sell(self, vendor: int, kind: str, count: int = 1, identity: UUID | None = None) -> Result:
        """Sell to a vendor within reach."""
        return await _result(self._link, Sell, entity=vendor, kind=kind, count=count, id=identity)

    async def loot(self, chest: int) -> Result:
        """Take what is in a chest within reach."""
        return await _result(self._link, Loot, entity=chest)

    async def pick_up(self, item: int) -> Result:
        """Pick up a thing within reach."""
        return await _result(self._link, PickUp, entity=item)

    async def drop(self, kind: str, count: int = 1) -> Result:
        """Lay something on the ground."""
        return await _result(self._link, Drop, kind=kind, count=count)

    async def equip(self, kind: str, identity: UUID | None = None) -> Result:
        """Put something on."""
        return await _result(self._link, Equip, kind=kind, id=identity)

    async def unequip(self, slot: str) -> Result:
        """Take off what is worn in a slot."""
        return await _result(self._link, Unequip, slot=slot)

    async def move(
        self, source: str, target: str, kind: str, count: int = 1, identity: UUID | None = None
    ) -> Result:
        """Move something between inventory and bank."""
        fields = {"source": source, "target": target, "kind": kind, "count": count, "id": identity}
        return await _result(self._link, Move, **fields)

    async def split(self, bag: str, position: int, count: int) -> Result:
        """Make two stacks of one."""
        return await _result(self._link, Split, bag=bag, position=position, count=count)

    async def merge(self, bag: str, position: int, onto: int) -> Result:
        """Lay one stack onto another."""
        return await _result(self._link, Merge, bag=bag, position=position, onto=onto)


class Alliance:
    """The alliance of the character in play. AllianceInvited and AllianceChanged come as events."""

    def __init__(self, link: WorldLink) -> None:
        self._link = link

    async def invite(self, name: str) -> Result:
        """Invite a character of this world."""
        return await _result(self._link, AllianceInvite, name=name)

    async def accept(self, inviter: str) -> Result:
        """Join the alliance of whoever has invited."""
        return await _result(self._link, AllianceAnswer, name=inviter, accept=True)

    async def decline(self, inviter: str) -> Result:
        """Decline an invitation."""
        return await _result(self._link, AllianceAnswer, name=inviter, accept=False)

    async def leave(self) -> Result:
        """Leave the alliance."""
        return await _result(self._link, AllianceLeave)


async def _result(link: WorldLink, kind: type[FromClient], /, **fields: object) -> Result:
    answer = await link.command(kind, **fields)
    assert isinstance(answer, Result)
    return answer
