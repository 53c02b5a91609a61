"""A number of things in words."""


def counted(number: int, thing: str) -> str:
    """Say a number of things: `1 unit`, `2,000 units`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
