"""The choice of the Django version for ``make test-prerelease``."""

import pytest

from tools.pythons import newest_prerelease


@pytest.mark.parametrize(
    ("available", "chosen"),
    [
        (["6.2a1", "6.1.3", "6.1", "6.1rc1"], "6.2a1"),
        (["6.1.3", "6.2b1", "6.2a1"], "6.2b1"),
        (["6.2rc1", "6.2b1", "6.1.3"], "6.2rc1"),
        (["6.10a1", "6.9.12"], "6.10a1"),
        (["6.1.3", "6.1", "6.1rc1", "6.1a1"], None),
        (["6.2", "6.2rc1", "6.1.10"], None),
    ],
)
def test_only_a_prerelease_that_is_newer_than_every_release(available, chosen):
    assert newest_prerelease(available) == chosen
