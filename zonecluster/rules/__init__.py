"""Game rules as pure functions on plain values."""
