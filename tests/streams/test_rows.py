"""Committed rows on disk, and a batch's changes over them, against a plain dict."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rocksdict import WriteBatch

from atp.book import Clock, Row
from avro_schemas import codec
from streams import table
from streams.checkpoint import Marker, decode_marker, encode_marker
from streams.overlay import Overlay
from streams.settings import Settings
from streams.slot import Slot, take
from streams.table import DamagedError, Reflects, Shared, Table, View
from topologies.partitioning import partition_of

KEYS = st.text("ab|é\U0001f600", min_size=1, max_size=4)
REFLECTS = Reflects(1, 2, ["a", "b", "c"], 0.0)
MARKER = encode_marker(Marker(5, 1, 0, 3, "a", "b", "c"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Table]:
    one = Table(tmp_path / "store", Shared())
    yield one
    one.close()


@given(st.dictionaries(KEYS, st.integers(0, 9)), st.lists(st.tuples(KEYS, st.none() | st.integers(0, 9))), KEYS)
def test_an_overlay_is_a_dict_that_leaves_its_base_alone(
    base: dict[str, int], changes: list[tuple[str, int | None]], prefix: str
) -> None:
    rows: dict[str, Row] = {key: Clock(tick=base[key]) for key in sorted(base)}
    overlay, model = Overlay(View(rows, None)), dict(rows)
    for key, value in changes:
        row = None if value is None else Clock(tick=value)
        overlay.apply({key: row})
        if row is None:
            model.pop(key, None)
        else:
            model[key] = row
        assert overlay.get(key) == row
        for asked in (prefix, ""):
            assert list(overlay.scan(asked)) == sorted((k, v) for k, v in model.items() if k.startswith(asked))
    assert rows == {key: Clock(tick=value) for key, value in base.items()}


def write(store: Table, rows: dict[str, int | None]) -> None:
    decoded: dict[str, Row | None] = {k: None if v is None else Clock(tick=v) for k, v in rows.items()}
    store.write({k: None if v is None else codec.encode_row(v) for k, v in decoded.items()}, decoded, MARKER, REFLECTS)


def test_rows_are_kept_and_found_in_key_order(store: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "DECODED_ROWS", 2)  # So that most come from the disk.
    monkeypatch.setattr(table, "_decoded", lambda _, value: codec.decode_row("g|clock", value))
    write(store, {"p|A|1": 1, "p|A|2": 2, "p|AB|1": 3, "e|A|x": 4, "s|A": 5})
    write(store, {"p|A|1": None, "p|A|3": 6})
    assert list(store.scan("p|A|")) == [("p|A|2", Clock(tick=2)), ("p|A|3", Clock(tick=6))]
    assert [key for key, _ in store.scan("")] == ["e|A|x", "p|AB|1", "p|A|2", "p|A|3", "s|A"]
    assert store.get("p|A|1") is None
    assert store.get("e|A|x") == Clock(tick=4)
    view = store.view(["s|A", "s|"], ["p|A|"])
    assert view is not None
    assert view.rows == {"s|A": Clock(tick=5), "p|A|2": Clock(tick=2), "p|A|3": Clock(tick=6)}
    assert view.marker == MARKER


def test_what_was_closed_opens_as_it_was(tmp_path: Path) -> None:
    shared = Shared()
    first = Table(tmp_path / "store", shared)
    assert first.reflects is None
    write(first, {"g|clock": 1})
    with pytest.raises(DamagedError):
        Table(tmp_path / "store", shared)  # Two may not write the same store.
    first.close()
    assert first.view(["g|clock"], []) is None
    again = Table(tmp_path / "store", shared)
    assert again.get("g|clock") == Clock(tick=1)
    assert again.reflects == REFLECTS
    assert again.marker == MARKER
    again.put(WriteBatch(raw_mode=True), None)
    assert again.reflects is None
    again.delete()
    assert not (tmp_path / "store").exists()


def test_damage_on_disk_is_noticed_and_never_read_as_an_end(tmp_path: Path) -> None:
    shared = Shared()
    store = Table(tmp_path / "store", shared)
    write(store, {f"e|A|{number:06d}": number for number in range(20_000)})
    store.close()
    (largest,) = sorted((tmp_path / "store").glob("*.sst"), key=lambda path: path.stat().st_size)[-1:]
    content = bytearray(largest.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 16] = bytes(16)
    largest.write_bytes(content)
    with pytest.raises(DamagedError):
        for _ in Table(tmp_path / "store", shared).scan("e|"):
            pass


def test_a_marker_reads_as_it_was_written() -> None:
    assert decode_marker(MARKER) == Marker(5, 1, 0, 3, "a", "b", "c")


def test_slots_are_taken_in_turn_and_taken_up_again(settings: Settings) -> None:
    first, second = take(settings, None), take(settings, None)
    assert [first.folder.name, second.folder.name] == ["0", "1"]
    first.release()
    third: Slot = take(settings, None)
    assert third.folder.name == "0"
    second.release()
    third.release()


@pytest.mark.parametrize(
    ("key", "murmur2"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_go_where_other_clients_send_them(key: bytes, murmur2: int) -> None:
    # Kafka's own test holds these values.
    assert partition_of(key, 2**31 - 1) == (murmur2 & 0x7FFFFFFF) % (2**31 - 1)
