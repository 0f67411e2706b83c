"""Webhooks: a world's keepers are told by POST of what happens to it. docs/rest.md, "Webhooks"."""
