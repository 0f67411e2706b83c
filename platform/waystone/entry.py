"""Where manage.py goes once the environment is there: our own commands, or Django's."""

import importlib

from django.core.management import execute_from_command_line

# By name, so that a daemon does not load the supervisor or pytest's runner with it.
OWN_COMMANDS = {
    "up": ("waystone.supervisor.up", "main"),
    "hostagent": ("waystone.supervisor.hostagent", "main"),
    "test": ("waystone.checks", "test"),
    "check-all": ("waystone.checks", "check_all"),
    "audit-dependencies": ("waystone.advisories", "main"),
    "simulate": ("tests.simulation.command", "main"),
}


def main(argv: list[str]) -> int:
    """Run one command of manage.py; return its exit code."""
    command = argv[1] if len(argv) > 1 else "help"
    if command in OWN_COMMANDS:
        module, function = OWN_COMMANDS[command]
        return getattr(importlib.import_module(module), function)(argv[2:])
    if command == "help" and len(argv) <= 2:
        print(f"Waystone's own commands: {', '.join(OWN_COMMANDS)}. Django's follow.\n")  # noqa: T201
    execute_from_command_line(argv)
    return 0
