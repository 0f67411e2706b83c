"""Constants of NETCODE 1.02: sizes in bytes, packet types, the byte layouts that have a fixed size.

Not here: any behaviour. Everything is little-endian.
Source: NETCODE 1.02 (mas-bandwidth/netcode, STANDARD.md), sections "Connect Token", "Challenge Token",
"Packets".
"""

from enum import IntEnum
from struct import Struct

VERSION_INFO = b"NETCODE 1.02\0"
KEY_BYTES = 32
TAG_BYTES = 16
USER_DATA_BYTES = 256
MAX_SERVER_ADDRESSES = 32

CONNECT_TOKEN_BYTES = 2048
TOKEN_NONCE_BYTES = 24
PRIVATE_TOKEN_BYTES = 1024  # sealed, tag included
PRIVATE_TOKEN_PLAIN_BYTES = PRIVATE_TOKEN_BYTES - TAG_BYTES
CHALLENGE_TOKEN_BYTES = 300  # sealed, tag included
CHALLENGE_TOKEN_PLAIN_BYTES = CHALLENGE_TOKEN_BYTES - TAG_BYTES

REQUEST_BYTES = 1078
MIN_PACKET_BYTES = 18  # prefix + one sequence byte + tag: nothing shorter can be valid
MAX_SEQUENCE_BYTES = 8
# The standard says 1..1200 bytes; Rust's renetcode sends up to 1300, and taking them costs nothing.
MAX_PAYLOAD_RECEIVED_BYTES = 1300
# What we send fits one datagram on any path: the cap of snapshots, and of WebTransport later.
MAX_PAYLOAD_SENT_BYTES = 1150
MAX_PACKET_BYTES = 1 + MAX_SEQUENCE_BYTES + MAX_PAYLOAD_RECEIVED_BYTES + TAG_BYTES

# Packets that belong to no slot yet (challenge, denied) use the upper half of the sequence space, so that
# under one key they never share a nonce with a slot's own packets, which count from zero.
GLOBAL_SEQUENCE_START = 1 << 63

REPLAY_WINDOW = 256  # packets; 5 s at 50 Hz, the standard's advice
SEND_INTERVAL_S = 0.1  # requests, responses and keep-alives: "at some rate, like 10HZ"
DISCONNECT_PACKETS = 10  # "a number of redundant disconnect packets"


class PacketType(IntEnum):
    REQUEST = 0
    DENIED = 1
    CHALLENGE = 2
    RESPONSE = 3
    KEEP_ALIVE = 4
    PAYLOAD = 5
    DISCONNECT = 6


# Plain integers of the same, for the path that runs per packet (an enum's attribute costs a look-up more).
REQUEST, DENIED, CHALLENGE, RESPONSE, KEEP_ALIVE, PAYLOAD, DISCONNECT = (int(kind) for kind in PacketType)

CHALLENGE_BODY_BYTES = 8 + CHALLENGE_TOKEN_BYTES
# Least and most bytes of each type's decrypted data, by packet type.
BODY_MIN_BYTES = (0, 0, CHALLENGE_BODY_BYTES, CHALLENGE_BODY_BYTES, 8, 1, 0)
BODY_MAX_BYTES = (0, 0, CHALLENGE_BODY_BYTES, CHALLENGE_BODY_BYTES, 8, MAX_PAYLOAD_RECEIVED_BYTES, 0)

# prefix 0, version, protocol id, expire timestamp, nonce, sealed private token
REQUEST_LAYOUT = Struct("<B13sQQ24s1024s")
# version, protocol id, create and expire timestamps, nonce, sealed private token, timeout
CONNECT_TOKEN_HEAD = Struct("<13sQQQ24s1024si")
# client id, timeout (negative: never)
PRIVATE_TOKEN_HEAD = Struct("<Qi")
# client id, user data; the rest of CHALLENGE_TOKEN_PLAIN_BYTES is zero
CHALLENGE_TOKEN_LAYOUT = Struct("<Q256s")
# client index (the slot), max clients
KEEP_ALIVE_BODY = Struct("<II")
# associated data of a private token: version, protocol id, expire timestamp
TOKEN_ASSOCIATED_DATA = Struct("<13sQQ")
# associated data of a packet: version, protocol id, prefix byte
PACKET_ASSOCIATED_DATA = Struct("<13sQB")

assert REQUEST_LAYOUT.size == REQUEST_BYTES
