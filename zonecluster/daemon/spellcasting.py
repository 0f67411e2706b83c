"""What a player selects and casts: commands on the world link. The rules are in rules/spells.py."""

from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.players import Player
from zonecluster.protocol.from_client import Cast, Select
from zonecluster.protocol.to_client import Notice, Result
from zonecluster.rules.spells import SPELLS


def select(cluster: Cluster, player: Player, command: Select) -> None:
    """Select an entity, or nobody."""
    if player.instance.select(player.row, command.entity):
        cluster.tell(player, Result(command.seq, True))
    else:
        cluster.tell(player, Result(command.seq, False, "There is nobody like that here."))


def cast(cluster: Cluster, player: Player, command: Cast) -> None:
    """Cast a spell on somebody; a player it is cast on is told by whom."""
    spell = SPELLS.get(command.spell)
    if spell is None:
        known = ", ".join(SPELLS)
        text = f"There is no spell {command.spell!r}. Spells: {known}."
        cluster.tell(player, Result(command.seq, False, text))
        return
    instance = player.instance
    target = instance.target_of(player.row, spell, command.target)
    refusal = instance.cast(player.row, spell, target)
    if refusal or target is None:
        cluster.tell(player, Result(command.seq, False, refusal))
        return
    cluster.counters["spells_cast"] += 1
    on = "" if target == player.row else f" on {instance.names[target]}"
    cluster.tell(player, Result(command.seq, True, f"You cast {spell.name}{on}."))
    other = cluster.roster.at_row(target)
    if other is not None and other is not player:
        cluster.tell(other, Notice(f"{player.name} casts {spell.name} on you."))
