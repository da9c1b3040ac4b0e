"""The first examples in docs/reference/backend-api.md work."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import HERE, Site

pytestmark = pytest.mark.sdk

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "backend-api.md"


def snippet(language: str, word: str, site: Site) -> str:
    """The one in this language that has this word, made to ask this site about its user."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    [text] = [text for text in found if word in text]
    return text.replace("http://127.0.0.1:8000", site.url).replace("user_1", site.user_id)


def output(command: list[str], site: Site, **options: str) -> str:
    environment = os.environ | {"API_KEY": site.secret}
    done = subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example_of_the_docs_runs(python_sdk, site):
    text = output([sys.executable, "-c", snippet("python", "clerk_backend_api", site)], site)
    ids = [line.split()[0] for line in text.splitlines()]
    assert ids == site.ids(user=site.session.user)[:100]


def test_the_javascript_example_of_the_docs_runs(node_sdk, site):
    program = snippet("js", "@clerk/backend", site)
    text = output([node_sdk, "--input-type=module"], site, input=program)
    *sessions, count = text.splitlines()
    expected = site.ids(user=site.session.user)
    assert [line.split()[0] for line in sessions] == expected[:10]
    assert int(count) == len(expected)


def test_the_curl_example_of_the_docs_runs(needs, site):
    needs("curl", shutil.which("curl"))
    text = output(["sh", "-c", snippet("sh", "curl", site)], site)
    assert f'"total_count": {len(site.ids_with("active"))}' in text
