"""The world daemon: the single point of contact between one world and the master."""
