"""Operating a world from the website: registering it, keeping it, its players and its restarts."""
