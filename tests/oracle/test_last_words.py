"""What a run of the tests ends with: its summary, and nothing that is said of the judge's database behind it."""

import subprocess
import sys
from pathlib import Path

TESTS = ("tests/core/test_costs.py", "tests/oracle/test_against_fold.py", "-k", "summed or damaged")
"""One test of Hypothesis, and one that uses the database: only both together leave something behind."""


def test_the_summary_of_the_tests_is_the_last_that_is_printed() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
        timeout=200,
    )  # fmt: skip
    assert ran.stdout.splitlines()[-1].startswith("2 passed, ")
