"""The packet path: between a UDP socket and arrays, for all connected links at once.

Between zonecluster/protocol/netcode (what a packet is, and the whole handshake) and zonecluster/daemon (what
payloads mean). Two ways with one interface (path.py): batch_path.py (numba and libsodium, no Python work per
packet) and plain_path.py (the protocol core alone). docs/packets.md tells how, and what it costs.
"""
