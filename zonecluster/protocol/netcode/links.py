"""What the server core keeps of one address, what of it is handed over, and what all of them may cost."""

from dataclasses import dataclass, field

from .addresses import Address
from .packets import Channel
from .requests import Request
from .states import LINK_TRANSITIONS, LinkEvent, LinkState, following


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what strangers may cost.

    A forged request costs about 10 µs of CPU, so 10,000 a second is a tenth of a core; the rate of one
    network (IPv4 /24, IPv6 /48) leaves a thousand players behind one NAT, or a load test on loopback, room to
    connect within seconds.
    """

    requests_per_s: float = 10_000
    requests_burst: float = 20_000
    requests_per_s_per_network: float = 1_000
    requests_burst_per_network: float = 2_000
    networks: int = 4_096
    challenged: int = 8_192  # links between request and response
    challenge_timeout_s: float = 30  # of such a link, where the token's own time-out is longer or never
    history: int = 131_072  # tokens: 1,000 minted a second × (60 s of life + 60 s of margin)
    events: int = 65_536  # not yet taken by the shell; beyond it payloads are dropped


@dataclass(frozen=True, slots=True)
class Handover:
    """A connected client whose packets somebody else seals and opens from now on (zonecluster/packets)."""

    client_id: int
    slot: int
    address: Address
    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)
    next_sequence: int  # of what is sent
    received: tuple[int, ...]  # sequence numbers in the replay window, newest first
    timeout_s: float  # infinite: never
    is_confirmed: bool
    heard_at: float
    sent_at: float


class Link:
    """One address: the encryption mapping, and from the response on also the client in its slot."""

    __slots__ = (
        "address",
        "challenge_deadline",
        "channel",
        "client_id",
        "heard_at",
        "keep_alive",
        "receive_key",
        "send_key",
        "sent_at",
        "slot",
        "state",
        "tag",
        "timeout",
    )

    def __init__(self, address: Address, channel: Channel, request: Request, now: float) -> None:
        token = request.token
        self.address = address
        self.channel = channel
        self.client_id = token.client_id
        self.send_key = token.server_to_client_key
        self.receive_key = token.client_to_server_key
        self.tag = request.tag
        self.timeout = float(token.timeout_s) if token.timeout_s >= 0 else float("inf")
        self.state = LinkState.NONE
        self.slot = -1
        self.keep_alive = b""
        self.heard_at = self.sent_at = now
        self.challenge_deadline = now

    def advance(self, event: LinkEvent) -> None:
        self.state = following(LINK_TRANSITIONS, self.state, event)
