"""Whether anybody beside the book has to hear of what an event changed.

Most events concern nobody else: the SKU belongs to no kit, no channel and no snapshot is compared with it, no policy
holds its answers back. One look says so, in the place of one for each module that would go on with the outcome.
Tests hold it to them: what is called quiet here, none of them changes.
"""

from collections.abc import Mapping

from atp.book import Row, Rows, Summary

CONCERNING = "btrg"
"""First letters of the keys of rows that are looked at whatever stands in them: supply, transfers, risks, sources."""


def is_quiet(rows: Rows, changes: Mapping[str, Row | None]) -> bool:
    """Say whether kits, copies, snapshots, risks of channels, sources and policies of telling have no part in changes.

    `rows` are as they were. Of what changes itself with time or by a count it says nothing.
    """
    for key, row in changes.items():
        letter = key[0]
        if letter == "s":
            before = rows.get(key)
            if not isinstance(before, Summary) or not isinstance(row, Summary):
                return False
            if before.part or before.copied or before.compared or row.copied or row.compared:
                return False
            for state in (*before.channels, *row.channels):
                if state.terms is not None and any(state.terms.telling):
                    return False
        elif letter in CONCERNING:
            return False
    return True
