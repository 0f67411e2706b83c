"""Playing in a terminal: full screen on a tty, plain lines in a pipe. Started by `manage.py play`."""
