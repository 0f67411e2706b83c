"""Interest: whom each player of a cluster sees, for all zone instances in one call.

Between zonecluster/simulation (the tables) and zonecluster/snapshots (what is told of those seen). Two
implementations with one interface (scene.py): grid.py (compiled) and tree.py (scipy), which agree row by row.
visibility.py adds lines of sight. docs/zone.md, "Interest".
"""
