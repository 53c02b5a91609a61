"""Compile the fold to machine code, into a copy of the packages: `make compiled`. Takes minutes and a C compiler.

    python ops/compile.py .atp/compiled
    PYTHONSAFEPATH=1 PYTHONPATH=.atp/compiled atp worker

The sources stay as they are: a compiled module beside its source would hide every later change of it.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("atp", "avro_schemas", "topologies", "streams", "sinks", "cli", "oracle")
BESIDE = ("ops", "docker-compose.yml")
"""What a broker is started from."""
COMPILED = ("atp/*.py", "streams/overlay.py")
"""The fold, and the rows that it reads through."""
LEFT = ("__init__.py", "book.py", "effects.py", "errors.py", "events.py")
"""Modules of plain data: as structs of C they are slower to make, since Python's own dataclass fills them."""
SETUP = """
from setuptools import setup
from mypyc.build import mypycify

setup(name="atp", packages=[], ext_modules=mypycify({modules!r}, opt_level="2", debug_level="0", multi_file=True))
"""


def main(target: Path) -> None:
    """Build `target` anew; what stands there goes once the new one is whole."""
    making = target.with_name(target.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, making / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in BESIDE:
        (making / name).symlink_to(ROOT / name)
    modules = sorted(str(path.relative_to(making)) for pattern in COMPILED for path in making.glob(pattern))
    modules = [module for module in modules if Path(module).name not in LEFT]
    (making / "setup.py").write_text(SETUP.format(modules=modules))
    print(f"compiling {len(modules)} modules, which takes some minutes ...", file=sys.stderr)
    log = making / "compile.log"
    with log.open("w") as said:
        command = [sys.executable, "setup.py", "build_ext", "--inplace", "--parallel", "2"]
        failed = subprocess.run(command, cwd=making, stdout=said, stderr=subprocess.STDOUT, check=False).returncode
    if failed:
        end = "\n".join(log.read_text().splitlines()[-15:])
        sys.exit(
            f"{end}\nerror: the fold was not compiled. A C compiler and Python's headers are needed; all is in {log}"
        )
    shutil.rmtree(making / "build", ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    making.rename(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
