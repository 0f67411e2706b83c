"""What `manage.py benchmark web` offers, and how its results are told."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table


def add_arguments(web: ArgumentParser) -> None:
    """Declare the arguments."""
    web.add_argument("--worlds", type=int, default=10_000)
    web.add_argument("--characters", type=int, default=1_000_000)
    web.add_argument("--people", type=int, default=60, help="who log in")
    web.add_argument("--seconds", type=float, default=4.0, help="of each case")
    web.add_argument("--links", type=int, default=8, help="connections under load")
    web.add_argument("--folder", type=Path, help="keep the filled database here, and use it again")


def run(module: Any, options: dict[str, Any], out: TextIO) -> None:
    """Measure, and tell of each case; module: tests.benchmark.web."""
    names = ("worlds", "characters", "people", "seconds", "links", "folder")
    setting = module.Setting(**{name: options[name] for name in names})
    results = []
    with Console(stderr=True).status("starting") as status:
        for result in module.measure(setting, status.update):
            results.append(result)
            if options["json"]:
                out.write(json.dumps(result) + "\n")
                out.flush()
    if options["json"]:
        return
    headings = ("", "per core", "p50 ms", "p95 ms", "loaded p95 ms", "bytes", "beside")
    table = Table(*headings, title=f"{setting.worlds} worlds, {setting.characters} characters")
    for result in results:
        keys = ("per_core", "p50_ms", "p95_ms", "loaded_p95_ms", "bytes")
        beside = [
            f"{result[key]} {words}"
            for key, words in (
                ("share_of_hello", "of an empty application"),
                ("share_of_hash", "of the bare hash"),
            )
            if key in result
        ]
        table.add_row(result["name"], *(str(result.get(key, "")) for key in keys), "".join(beside))
    Console(file=out).print(table)
