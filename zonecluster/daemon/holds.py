"""A trade or a letter of a player is being written down: nothing durable of it changes until that is over.

The world daemon says when (docs/adr/0010-exchange.md). Called by requests.py, where orders that come late are
kept off by their numbers.
"""

from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.players import Player
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Notice, Result

NOT_WRITTEN = "That could not be written down. Look at what you have."


def hold(cluster: Cluster, message: bus.Hold) -> None:
    """Change nothing but the place from now on, and tell the document; asked again, the same answer."""
    player = cluster.find_stay(message.session, message.stay)
    if player is None:
        if cluster.roster.find(message.session) is None:
            cluster.unknown(message.session, None)
        return
    if player.held is None or player.held.exchange != message.exchange:
        state = player.document(cluster.config.world)
        cluster.changed.pop(player, None)  # all of it is in this document
        player.held = bus.Held(
            cluster=cluster.config.name,
            session=player.session,
            exchange=message.exchange,
            state=state,
            serial=player.serial,
            stay=player.stay,
            after=player.after,
        )
        cluster.counters["held"] += 1
    cluster.to_daemon(player.held)


def settle(cluster: Cluster, message: bus.Settle) -> None:
    """Let the player change again, with the document that there is now, and say so: also if that is known."""
    player = cluster.find_stay(message.session, message.stay)
    if player is not None:
        _settle(cluster, player, message)
        cluster.to_daemon(bus.Settled(cluster.config.name, player.session, player.stay, player.after))


def _settle(cluster: Cluster, player: Player, message: bus.Settle) -> None:
    is_new = message.state is not None and message.after != player.after
    if player.held is None and not is_new:
        return
    held, player.held = player.held, None
    player.line = message.line or player.line
    if is_new and message.state is not None:
        is_written = held is not None and held.exchange == message.after
        if held is not None and is_written:  # what was held was saved before the exchange
            player.saved(held.serial)
            cluster.tell_news(player, held.serial, is_accepted=True)
        _take_back_news(cluster, player)
        player.replace(message.state, message.after)
        cluster.changed.pop(player, None)
    elif player.has_unsaved:  # nobody may have taken what was held: it goes the usual way, and soon
        cluster.changed[player] = None
    cluster.record_arrival(player)
    if message.text:
        cluster.tell(player, Notice(message.text))


def _take_back_news(cluster: Cluster, player: Player) -> None:
    """What else waits to be told is in a document that nobody will save: it has not happened."""
    for news in player.take_news(player.serial + 1, is_accepted=True):
        if isinstance(news.message, Result):
            cluster.tell(player, Result(news.message.seq, False, NOT_WRITTEN, "withheld"))


def line_is(cluster: Cluster, message: bus.LineIs) -> None:
    """The player's character has gone on to another line."""
    for player in cluster.roster.of_session(message.session):
        player.line = message.line
