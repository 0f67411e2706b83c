"""The zone cluster: a process that serves a chosen set of zones."""
