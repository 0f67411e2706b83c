"""Zones as arrays, and the systems that step them."""
