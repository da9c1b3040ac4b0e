"""schemathesis tests the server against its OpenAPI document."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from .conftest import HERE

pytestmark = pytest.mark.sdk

#: For each endpoint and phase. More find no more, but take longer.
EXAMPLES = 15


def test_schemathesis_finds_nothing(needs, site, tmp_path):
    needs("schemathesis", find_spec("schemathesis"))
    command = [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(HERE / "schemathesis.toml"), "--no-color"),
        *("run", f"{site.url}/v1/openapi.json"),
        f"--header=Authorization: Bearer {site.secret}",
        f"--max-examples={EXAMPLES}",
        "--seed=5",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 6" in done.stdout
