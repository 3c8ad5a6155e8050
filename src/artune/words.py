"""Words for numbers."""


def counted(count: int, what: str) -> str:
    """A number of things: ``1 picture``, ``2 pictures``."""
    return f"{count} {what}{'s' * (count != 1)}"
