"""The fold as machine code does what its sources say: golden figures, models and properties, run anew upon it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("tests/topologies", "tests/core/test_model.py", "tests/core/test_properties.py")
BUILD_S = 900

pytestmark = [
    pytest.mark.timeout(2 * BUILD_S),
    pytest.mark.skipif(not os.environ.get("CI"), reason="compiling takes minutes. CI does it; CI=true does it here"),
]


def test_the_compiled_fold_passes_the_tests_of_the_fold(tmp_path: Path) -> None:
    compiled = tmp_path / "compiled"
    made = _run([str(ROOT / "ops" / "compile.py"), str(compiled)], {})
    assert made.returncode == 0, made.stderr
    environ = {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(compiled)}
    asked = _run(["-c", "from streams.batch import FOLD; print(FOLD)"], environ)
    assert asked.stdout.strip() == "compiled", asked.stderr
    # Appended to the path, the checkout is looked at last: for the tests, and for nothing that was compiled.
    command = ["-m", "pytest", "--import-mode=append", "-q", "-p", "no:cacheprovider", "-m", "not broker", *TESTS]
    told = _run(command, environ)
    assert told.returncode == 0, told.stdout[-4000:] + told.stderr[-2000:]
    assert " passed" in told.stdout


def _run(arguments: list[str], environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True,
        timeout=BUILD_S, check=False,
    )  # fmt: skip
