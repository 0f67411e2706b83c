"""Where manage.py goes once the environment is there: our own commands, or Django's."""

from django.core.management import execute_from_command_line

from waystone import checks
from waystone.supervisor import up

OWN_COMMANDS = {
    "up": up.main,
    "test": checks.test,
    "check-all": checks.check_all,
}


def main(argv: list[str]) -> int:
    """Run one command of manage.py; return its exit code."""
    command = argv[1] if len(argv) > 1 else "help"
    if command in OWN_COMMANDS:
        return OWN_COMMANDS[command](argv[2:])
    if command == "help" and len(argv) <= 2:
        print("Waystone's own commands: up, test, check-all (each takes --help). Django's follow.\n")  # noqa: T201
    execute_from_command_line(argv)
    return 0
