"""Worlds: the catalog of worlds, clusters, zones and content; tickets; and the world daemon."""
