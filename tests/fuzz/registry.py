"""All decoders that face a network, by name."""

from tests.fuzz.decoder import Decoder
from tests.fuzz.host_decoders import HOST_DECODERS
from tests.fuzz.netcode_decoders import NETCODE_DECODERS
from tests.fuzz.payload_decoders import PAYLOAD_DECODERS

DECODERS: dict[str, Decoder] = {
    each.name: each for each in (*NETCODE_DECODERS, *PAYLOAD_DECODERS, *HOST_DECODERS)
}
