"""The colours by which accounts are told apart: twelve hues in a circle."""

from __future__ import annotations

import zlib
from collections.abc import Collection

#: The avatar colours. The stylesheet has a class ``ms-hue-<n>`` for each.
COLOURS = (
    "#b9432f",
    "#96590a",
    "#6d6a10",
    "#3f7825",
    "#15794f",
    "#0d7575",
    "#126fa3",
    "#2f62cf",
    "#5d52d4",
    "#8643c2",
    "#a8359c",
    "#be3268",
)
HUES = len(COLOURS)
#: Two hues look alike unless they are this far apart in the circle.
APART = 2


def own_hue(key: object) -> int:
    """Return the hue of a primary key: the same in every browser."""
    return zlib.crc32(str(key).encode()) % HUES


def free_hue(wanted: int, taken: Collection[int]) -> int:
    """Return ``wanted``, or the hue that is furthest from those taken if it looks like one of them.

    Only a browser with more than twelve accounts has two of the same hue.
    """
    if not taken or _distance(wanted, taken) >= APART:
        return wanted
    return max(range(HUES), key=lambda hue: (_distance(hue, taken), -((hue - wanted) % HUES)))


def _distance(hue: int, taken: Collection[int]) -> int:
    apart = [abs(hue - other) for other in taken]
    return min(min(steps, HUES - steps) for steps in apart)
