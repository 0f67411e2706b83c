"""Moves of instances, as a cluster sees them: copies that are got ready here, or stilled to go elsewhere.

Each message may come twice, late or never. Moves are numbered, and the numbers grow: what is of a move that
has ended here (`fences`), or of an older one, changes nothing.
"""

import structlog

from zonecluster.daemon.cluster import Cluster
from zonecluster.protocol import bus
from zonecluster.protocol.cargo import UnreadableCargo, decode_cargo, encode_cargo
from zonecluster.simulation import cargo
from zonecluster.simulation.instance import ZoneInstance
from zonecluster.simulation.tables import TableFull

log = structlog.get_logger(__name__)


def begin_vacant(cluster: Cluster, number: int, move: int) -> None:
    """An instance was just opened for a move: nothing stirs in it before it is activated."""
    cluster.copies.vacant[number] = move
    cargo.still(cluster.instances[number])


def begin_plain(cluster: Cluster, number: int) -> None:
    """An instance is wanted here, and not by a move: a vacant one stirs, with no goods of another's."""
    if cluster.copies.vacant.pop(number, None) is not None:
        cluster.copies.filled.discard(number)
        _stir(cluster.instances[number], is_emptied=True)


def may_open_anew(cluster: Cluster, message: bus.OpenInstance) -> str:
    """Make room for a vacant copy where an instance runs already; returns why not, "" if there is room."""
    number, copies = message.instance, cluster.copies
    if copies.vacant.get(number) == message.move:
        return ""
    if cluster.instances[number].player_count:
        return f"players are in instance {number}"
    cluster.close(number)
    return ""


def export_instance(cluster: Cluster, message: bus.ExportInstance) -> None:
    """Still an instance and tell what is in it, once nothing in it waits for a document any more."""
    number, copies = message.instance, cluster.copies
    instance = cluster.instances.get(number)
    if instance is None or number in copies.vacant or copies.is_over(number, message.move):
        return
    if copies.exported.get(number, 0) > message.move:
        return
    copies.exported[number] = message.move
    cargo.still(instance)
    if _has_waiting_things(cluster, instance):
        return  # asked again in a moment; whoever laid it down is about to be saved
    written = encode_cargo(cargo.pack(instance))
    name, incarnation = cluster.config.name, cluster.incarnation
    cluster.to_daemon(bus.InstanceExported(name, incarnation, number, message.move, written))
    log.info("instance_exported", instance=number, move=message.move, bytes=len(written))


def import_instance(cluster: Cluster, message: bus.ImportInstance) -> None:
    """Have what the source told in the vacant copy; whatever is wrong with it is the answer."""
    number, copies, error = message.instance, cluster.copies, ""
    if copies.vacant.get(number) != message.move:
        error = f"instance {number} is not vacant for that move"
    else:
        try:
            cargo.unpack(cluster.instances[number], decode_cargo(message.cargo))
            copies.filled.add(number)
        except (UnreadableCargo, TableFull) as fault:
            error = str(fault)
            log.error("cargo_refused", instance=number, move=message.move, error=error)
    name, incarnation = cluster.config.name, cluster.incarnation
    cluster.to_daemon(bus.InstanceImported(name, incarnation, number, message.move, error[:400]))


def activate_instance(cluster: Cluster, message: bus.ActivateInstance) -> None:
    """The vacant copy is the instance from now on."""
    number, copies = message.instance, cluster.copies
    if copies.vacant.get(number) != message.move:
        return
    del copies.vacant[number]
    copies.end(number, message.move)
    _stir(cluster.instances[number], is_emptied=number not in copies.filled)
    copies.filled.discard(number)
    log.info("instance_activated", instance=number, move=message.move)


def resume_instance(cluster: Cluster, message: bus.ResumeInstance) -> None:
    """The move is off: go on here."""
    number, copies = message.instance, cluster.copies
    copies.end(number, message.move)
    if copies.exported.get(number, message.move + 1) <= message.move:
        del copies.exported[number]
        _stir(cluster.instances[number], is_emptied=message.is_emptied)
        log.info("instance_resumed", instance=number, move=message.move, is_emptied=message.is_emptied)


def _has_waiting_things(cluster: Cluster, instance: ZoneInstance) -> bool:
    """Whether somebody's thing on the ground waits for its owner's document: it would be lost."""
    here = (player for player in cluster.roster if player.instance is instance)
    return any(news.shows for player in here for news in player.news)


def _stir(instance: ZoneInstance, *, is_emptied: bool) -> None:
    if is_emptied:
        cargo.empty(instance)
    cargo.stir(instance)
