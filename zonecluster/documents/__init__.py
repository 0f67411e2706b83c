"""Character documents checked by compiled code: the quickest of three checks, for who takes saves.

It accepts a part of what zonecluster/protocol/canonical.py accepts, and refuses nothing: what it is not sure
of is checked there. docs/characters.md, "The check of a document".
"""
