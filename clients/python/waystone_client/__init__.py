"""A Python client of Waystone: REST, world link, zone link. Async."""
