"""The uplink: what a world says to the master, and how it proves who it is. Used by both sides."""
