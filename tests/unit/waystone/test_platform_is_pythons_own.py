"""`platform/` must stay a plain folder: with an __init__.py it would hide Python's module of that name."""

import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_platform_folder_is_not_a_package():
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_import_platform_is_pythons_own():
    assert Path(platform.__file__).parent == Path(sysconfig.get_path("stdlib"))


def test_import_platform_is_pythons_own_with_the_project_first_on_the_path():
    code = "import platform; print(platform.python_implementation())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == platform.python_implementation()
