"""The reachability check: the master calls a world's gateway and its zone clusters, as a player would.

The gateway is asked with a token that the master signs, and answers with one that the world signs
(worlds/uplink/reach.py). A zone cluster is sent the connection request of a connect token that it has minted
for this (its *door*, in the world's report); only the process that minted it can answer with a challenge that
opens. Addresses inside of networks are refused unless the deployment is a local one (worlds/outward.py).
"""

import secrets
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect as connect_websocket

from worlds.models import World, WorldKey
from worlds.operating.setup_rules import MAX_DOORS
from worlds.outward import OutwardRefused, addresses_of, connect
from worlds.uplink.jws import BadToken
from worlds.uplink.keys import KeyPair
from worlds.uplink.reach import ask, check_answer
from zonecluster.protocol.from_client import PROTOCOL_VERSION, Hello
from zonecluster.protocol.netcode.client import ClientCore
from zonecluster.protocol.netcode.states import ClientState
from zonecluster.protocol.to_client import Refused, ServerMessage
from zonecluster.protocol.unreadable import UNREADABLE

log = structlog.get_logger(__name__)

GATEWAY_S = 6.0  # for connecting, the handshake and the answer, each
UDP_S = 3.0  # for one zone cluster's answer; requests go out ten times a second
MAX_FRAMES = 4  # that are read for the answer
MAX_FRAME_BYTES = 64 * 1024

_answers = msgspec.json.Decoder(ServerMessage)


@dataclass(frozen=True)
class Look:
    """What one look has shown. Faults are for the operator; empty: it answered."""

    gateway_fault: str
    udp_fault: str
    udp_addresses: str  # that were tried, in words
    has_doors: bool  # a zone cluster was there to be called


def look(world: World, key: KeyPair, doors: Sequence[bytes], now: datetime) -> Look:
    """Call a world's gateway and its zone clusters. Takes up to half a minute. Args: key: the master's."""
    gateway_fault = reach_gateway(world, key, now)
    udp_fault, tried = reach_doors(doors)
    log.info("world_looked_at", world=world.slug, gateway=gateway_fault or "ok", udp=udp_fault or "ok")
    return Look(gateway_fault[:300], udp_fault[:300], ", ".join(tried)[:300], bool(doors))


def reach_gateway(world: World, key: KeyPair, now: datetime) -> str:
    """Return why players cannot come in by the published gateway; empty: they can."""
    nonce = secrets.token_urlsafe(16)
    question = ask(key, world=world.slug, nonce=nonce, now=now)
    try:
        said = _say_hello(world.gateway_url, question)
    except OutwardRefused as refusal:
        return str(refusal)
    except ssl.SSLError as error:
        return f"The gateway's certificate is not good: {error.reason or error}."
    except TimeoutError:
        return (
            "The gateway did not answer in time: something on the way drops the connection, as firewalls do."
        )
    except OSError as error:
        return f"No connection to the gateway: {error.strerror or error}."
    except WebSocketException as error:
        return f"Something answers there, but it is no gateway of ours: {str(error)[:120]}."
    except ValueError:  # how websockets refuses a redirect on a connection that it was given
        return "Something answers there, but it sends players on to another address. Name that one."

    def key_of(kid: str) -> Ed25519PublicKey | None:
        row = WorldKey.objects.filter(world=world, kid=kid, revoked_at=None).first()
        return Ed25519PublicKey.from_public_bytes(bytes(row.public_key)) if row else None

    if not said:
        return "A gateway answers there, but no world daemon behind it."
    try:
        check_answer(said, key_of, world=world.slug, nonce=nonce)
    except BadToken:
        return "A gateway answers there, but it is not this world's, or its world daemon is not up yet."
    return ""


def _say_hello(url: str, question: str) -> str:
    """Return what the gateway answers to a Hello; empty: nothing that could be it."""
    parts = urlsplit(url)
    is_tls = parts.scheme == "wss"
    link = connect(parts.hostname or "", parts.port or (443 if is_tls else 80), timeout_s=GATEWAY_S)
    try:
        context = ssl.create_default_context() if is_tls else None
        with connect_websocket(
            url,
            sock=link,
            ssl=context,
            open_timeout=GATEWAY_S,
            close_timeout=1,
            max_size=MAX_FRAME_BYTES,
            proxy=None,
            compression=None,
        ) as socket_:
            hello = Hello(PROTOCOL_VERSION, "waystone-master", question)
            socket_.send(msgspec.json.encode(hello).decode())
            for _ in range(MAX_FRAMES):
                frame = socket_.recv(timeout=GATEWAY_S)
                try:
                    message = _answers.decode(frame)
                except UNREADABLE:
                    return ""
                if isinstance(message, Refused):
                    return message.reason
        return ""
    finally:
        link.close()


def reach_doors(doors: Sequence[bytes]) -> tuple[str, list[str]]:
    """Call zone clusters by connect tokens of theirs.

    Returns: why players cannot reach one of them, empty if they can; and the addresses that were tried.
    """
    tried: list[str] = []
    faults: list[str] = []
    for door in doors[:MAX_DOORS]:
        core = ClientCore(door, time.monotonic())
        addresses = [f"{host}:{port}" for host, port in core.server_addresses]
        if core.refusal is not None or not addresses:
            return f"A zone cluster names no address: {core.refusal or 'none'}.", tried
        tried.extend(addresses)
        fault = _knock(core)
        if fault:
            faults.append(fault)
    return (faults[0] if faults else ""), tried


def _knock(core: ClientCore) -> str:
    """Send connection requests until a challenge comes back. Returns: why none did; empty: it did."""
    host, port = core.server_addresses[0]
    try:
        address = addresses_of(host)[0]
    except OutwardRefused as refusal:
        return str(refusal)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        try:
            link.connect((address, port))
            return _wait_for_challenge(core, link, (host, port))
        except TimeoutError:
            pass
        except ConnectionRefusedError:
            return f"Nothing listens for UDP at {host}:{port}."
        except OSError as error:
            return f"UDP to {host}:{port} cannot be sent: {error.strerror or error}."
    return f"No answer by UDP from {host}:{port} within {UDP_S:g} seconds."


def _wait_for_challenge(core: ClientCore, link: socket.socket, server: tuple[str, int]) -> str:
    """Raises: TimeoutError, OSError."""
    end = time.monotonic() + UDP_S
    while (now := time.monotonic()) < end:
        if (due := core.next_timeout()) is not None and now >= due:
            core.handle_timeout(now)
        for data, _ in core.datagrams_to_send():
            link.send(data)
        link.settimeout(0.1)
        try:
            data = link.recv(2048)
        except TimeoutError:
            continue
        core.receive_datagram(data, server, time.monotonic())
        if core.state is ClientState.SENDING_CONNECTION_RESPONSE:
            return ""  # only who has minted the token can have sealed it; the rest is for players
        if core.state is not ClientState.SENDING_CONNECTION_REQUEST:
            return f"The zone cluster at {server[0]}:{server[1]} refuses connections: is it full?"
    raise TimeoutError
