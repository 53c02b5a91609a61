"""The rules of the house, checked: which room may import what, and what may stand in no room."""

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

IMPURE = {"time", "os", "io", "random", "uuid", "logging", "asyncio", "threading", "socket", "subprocess", "secrets"}
"""What would let a clock, the world or an invented id into what must be replayable."""

ROOMS: dict[str, tuple[set[str], set[str]]] = {
    # room: (rooms of the house it may import, third parties it may import)
    "atp": (set(), set()),
    "avro_schemas": ({"atp"}, {"fastavro", "pydantic"}),
    "topologies": ({"atp"}, set()),
    "sinks": ({"atp", "avro_schemas"}, {"confluent_kafka", "pyarrow", "pydantic"}),
    "streams": (
        {"atp", "avro_schemas", "topologies", "sinks"},
        {"confluent_kafka", "faust", "mode", "prometheus_client", "pydantic", "pydantic_settings", "rocksdict"},
    ),
    "cli": (
        {"atp", "avro_schemas", "topologies", "sinks", "streams", "oracle", "bench"},
        {"confluent_kafka", "duckdb", "pyarrow", "pydantic", "rich", "typer"},
    ),
    "oracle": (set(), {"confluent_kafka", "duckdb", "fastavro", "pyarrow"}),
    "bench": (
        {"atp", "avro_schemas", "topologies", "streams"},
        {"confluent_kafka", "faust", "mode", "quixstreams", "rich", "rocksdict", "typer"},
    ),
}
PURE = ("atp", "topologies")
SPEAKING = ("cli", "bench")
"""Rooms that may print."""
APART = ("bench",)
"""Rooms that are not part of the product, and run in an environment of their own."""


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the first name of every import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their room"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_the_table_allows(room: str) -> None:
    house, others = ROOMS[room]
    allowed = sys.stdlib_module_names | {room} | house | others
    if room in PURE:
        allowed -= IMPURE
    strays = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(room)
        for name in imported(ast.parse(path.read_text()))
        if name not in allowed
    }
    assert strays == set()


def test_the_table_names_every_room_and_all_hold_code() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages == set(ROOMS)
    assert all(modules(room) for room in ROOMS)


def test_only_commands_print() -> None:
    printing = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for room in ROOMS
        if room not in SPEAKING
        for path in modules(room)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == set()


def test_nothing_is_left_for_later_in_the_code() -> None:
    later = re.compile(r"#.*\b(?:FIX" + r"ME|TO" + r"DO|X" + r"XX)\b")
    rooms = [*ROOMS, "tests", "ops"]
    found = {str(path.relative_to(ROOT)) for room in rooms for path in modules(room) if later.search(path.read_text())}
    assert found == set()


@pytest.mark.parametrize("room", ROOMS)
def test_a_generic_name_is_this_house_and_no_other(room: str) -> None:
    spec = importlib.util.find_spec(room)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    assert [Path(place).resolve() for place in spec.submodule_search_locations] == [ROOT / room]


def test_locks_carry_hashes_and_no_addresses() -> None:
    for lock in (ROOT / "requirements.lock", ROOT / "ops" / "bench" / "requirements.lock"):
        text = lock.read_text()
        assert not re.search(r"://|--find-links|--index-url|--extra-index-url|--trusted-host|/wheels", text)
        pins = re.findall(r"^[a-z0-9][a-z0-9._-]*==\S+ .*\n", text, re.MULTILINE)
        assert len(pins) > 40
        assert all(re.search(re.escape(pin) + r"    --hash=sha256:[0-9a-f]{64}", text) for pin in pins)


def test_importing_a_room_starts_nothing() -> None:
    """No import has an effect: all modules import in one fresh interpreter, without output, threads or files."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for room in ROOMS
        if room not in APART
        for path in modules(room)
        if path.name != "__main__.py"
    ]
    program = (
        "import importlib, threading\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
