"""Another project runs on the wheel, and on no file of this checkout."""

import pytest

from tests.strangers import bench

ASK = "import multisession, django; print(multisession.__file__, django.__version__)"


@pytest.mark.parametrize("django", bench.DJANGOS)
def test_a_project_imports_the_installed_wheel(django, tmp_path):
    python = bench.environment(django)
    project = bench.start_project(python, tmp_path / "project")
    file, version = bench.run(python, "-c", ASK, cwd=project).split()
    assert "/site-packages/multisession/" in file
    assert version == bench.DJANGOS[django]


def test_nothing_runs_inside_the_checkout():
    with pytest.raises(AssertionError, match="inside the checkout"):
        bench.run("python", "-c", ASK, cwd=bench.ROOT / "docs")
