"""``VARIANTS=2``: a dose of the tests has a few variants of each (conftest.py)."""

import pytest

from .conftest import spread


@pytest.mark.parametrize(
    ("found", "most", "kept"),
    [
        ("a", 2, "a"),
        ("abc", 3, "abc"),
        ("abcdef", 1, "a"),
        ("abcdef", 2, "af"),
        ("abcdef", 3, "acf"),
    ],
)
def test_a_dose_has_the_first_the_last_and_what_lies_between(found, most, kept):
    assert "".join(spread(list(found), most)) == kept
