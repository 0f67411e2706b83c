"""The thin shell around the simulation: sockets, the bus, the 20 Hz loop."""
