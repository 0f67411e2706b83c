"""The world daemon without I/O: `handle(event, now, rng) -> effects`. No Django, no socket, no clock.

Read in this order: events, effects, session (states and transitions), then entering, arrival, handoff,
recovery, departure (what moves a session), saving and leases (the right to write), and daemon (who gets which
event).
"""
