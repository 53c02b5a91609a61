"""The file of units that an installation names: how many base units a case holds, by SKU."""

from pathlib import Path

from atp.checks import CheckError
from atp.errors import FatalError
from atp.intake import Units, read_units
from avro_schemas.public_json import NO_UNITS, RefusedLineError, read_json


def units_of(path: Path | None) -> Units:
    """Read the file; without one there are base units only. Raises: FatalError."""
    if path is None:
        return NO_UNITS
    try:
        return read_units(read_json(path.read_bytes()))
    except OSError as error:
        raise FatalError(
            f"cannot read the units in {path}: {error.strerror}. Name another: --units FILE, or ATP_UNITS"
        ) from error
    except (CheckError, RefusedLineError) as error:
        raise FatalError(f"{path}: {error.detail}. Correct it, then try again.") from error
