from typing import Final

from deploy.tools.chart_settings import SERVICES

USUAL: Final = (*SERVICES, "tools")
NAMES: Final = (*USUAL, "transcribe")
"""The last is built when it is named: its engines and models are a gigabyte."""
VERSION: Final = "0.1.0"


class Unbuildable(Exception):
    """An image can't be built or used here; the message says what is missing or what went wrong."""


def image_of(name: str) -> str:
    """Return the local name of an image."""
    return f"localhost/ringmaster/{name}:{VERSION}"
