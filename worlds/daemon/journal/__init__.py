"""The world's journal: writes that the master has not acknowledged yet, on the world's own disk.

Read in this order: records (the bytes), pending (what is not finished), recovery (what segments say after a
crash), store (files). Normative: docs/journal.md.
"""
