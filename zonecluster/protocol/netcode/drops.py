"""Why a datagram was thrown away, and the counters. A drop is never an exception: it is one of these,
counted.
"""

from enum import StrEnum


class Drop(StrEnum):
    # Any datagram
    EMPTY = "empty"
    TOO_SMALL = "too_small"  # under 18 bytes, or too short for its sequence and tag
    TOO_LARGE = "too_large"  # over MAX_PACKET_BYTES
    BAD_TYPE = "bad_type"  # packet type 7..15
    UNEXPECTED_TYPE = "unexpected_type"  # a type this side, or this state, does not take
    BAD_SEQUENCE_BYTES = "bad_sequence_bytes"  # the prefix promises 0 or more than 8
    REPLAYED = "replayed"  # seen before, or older than the window
    FORGED = "forged"  # the tag does not match
    BAD_BODY_SIZE = "bad_body_size"  # sealed well, wrong size for its type
    UNKNOWN_ADDRESS = "unknown_address"  # no link with this address
    # Connection requests
    BAD_REQUEST_SIZE = "bad_request_size"
    BAD_VERSION = "bad_version"
    BAD_PROTOCOL_ID = "bad_protocol_id"
    TOKEN_EXPIRED = "token_expired"
    RATE_LIMITED = "rate_limited"
    TOKEN_FORGED = "token_forged"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_FOR_ANOTHER_SERVER = "token_for_another_server"
    ADDRESS_CONNECTED = "address_connected"
    CLIENT_CONNECTED = "client_connected"
    TOKEN_USED_ELSEWHERE = "token_used_elsewhere"  # same token, another address
    TOKEN_SPENT = "token_spent"  # has connected once already
    HISTORY_FULL = "history_full"
    TOO_MANY_CHALLENGED = "too_many_challenged"
    SERVER_FULL = "server_full"  # answered by a denied packet
    # Connection responses
    CHALLENGE_FORGED = "challenge_forged"
    CHALLENGE_OF_ANOTHER = "challenge_of_another"  # the challenge was given to another client id
    # Payloads
    EVENTS_FULL = "events_full"  # the shell did not take its events
    FLOODING = "flooding"  # more from one client than a tick takes (zonecluster/packets)


class Statistics:
    """Counters since the core was made. "Stranger" = an address that has not answered a challenge yet."""

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "connections",
        "datagrams_received",
        "datagrams_sent",
        "drops",
        "payloads_received",
        "payloads_sent",
        "stranger_bytes_received",
        "stranger_bytes_sent",
    )

    def __init__(self) -> None:
        self.datagrams_received = self.bytes_received = 0
        self.datagrams_sent = self.bytes_sent = 0
        self.payloads_received = self.payloads_sent = 0
        self.stranger_bytes_received = self.stranger_bytes_sent = 0
        self.connections = 0
        self.drops: dict[Drop, int] = dict.fromkeys(Drop, 0)

    def as_dict(self) -> dict[str, int]:
        """Return every counter by name; drops as `drop_<reason>`."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "drops"}
        return plain | {f"drop_{reason}": count for reason, count in self.drops.items()}
