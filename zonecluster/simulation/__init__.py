"""Zones as arrays: tables, systems, one step of 1/20 s. No I/O, no clock, no Django; called by the daemon."""
