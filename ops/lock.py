"""Write the locks, with hashes and without addresses: `make lock` (with `--upgrade` for newer versions).

`requirements.lock` is the environment of development; `ops/docker/requirements.lock` is what a worker's image
needs of it; `ops/bench/requirements.lock` is the benchmark's own, since Quix Streams asks for other versions of
the same clients.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "requirements.lock": ("dev", "build"),
    "ops/docker/requirements.lock": ("build",),
    "ops/bench/requirements.lock": ("bench", "build"),
}
# A lock says which files are right, not where they lie: that is for the settings of whoever installs.
WITHOUT_ADDRESSES = ("--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links", "--no-emit-options")


def lock(name: str, groups: tuple[str, ...], upgrade: bool) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"]]
    for group in groups:
        wanted += project["dependency-groups"][group]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "requirements.in"
        source.write_text("\n".join(wanted) + "\n")
        subprocess.run(
            [
                *(sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes", "--allow-unsafe"),
                *("--strip-extras", "--no-annotate", *WITHOUT_ADDRESSES, "--output-file", name, str(source)),
                *(("--upgrade",) if upgrade else ()),
            ],
            cwd=ROOT,
            check=True,
            env={**os.environ, "CUSTOM_COMPILE_COMMAND": "make lock"},
        )


for name, groups in LOCKS.items():
    print(f"locking {name} ...", file=sys.stderr)
    lock(name, groups, upgrade="--upgrade" in sys.argv)
