"""Content packs: plain TOML files that become the zones of a world.

files (reads a folder) → parse (bytes to dataclasses, all problems collected) → check (zones against each
other) → importer (the ORM, in one transaction). Everything but files and importer is pure. The format is in
docs/content.md.
"""
