"""The rules of play as pure functions on values and character documents. No I/O, no clock, no Django."""
