"""Where zones should run: their costs, by hour of the week, fitted onto clusters with few moves. Pure."""
