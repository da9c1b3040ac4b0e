"""Imports run one way, so that the code can be read from the bottom to the top."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "multisession"

#: From the bottom to the top. A module imports only from the layers above its own line in this
#: list, and from its own layer in one direction; whether at its head, inside a function or for the
#: type checker.
LAYERS = (
    {"ground", "conf", "signals", "organizations"},
    {"models", "upkeep"},
    {"engine", "backends"},
    {"request", "request_user"},
    {"guard", "actions", "lists", "passwords", "paths"},
    {"pages"},
    {"offers", "decorators", "mixins", "middleware", "receivers"},
    {"admin", "api", "checks", "contrib", "management", "templatetags", "urls", "apps"},
    {"test", "pytest_plugin"},
)

#: What a module makes use of where it is installed, and does without where it is not.
OPTIONAL = {
    "ground.browsers": {"ua_parser"},
    "engine.prepared": {"psycopg"},
    "pytest_plugin": {"pytest"},
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def layer_of(module: str) -> int:
    found = [
        number
        for number, names in enumerate(LAYERS)
        if any(module == name or module.startswith(f"{name}.") for name in names)
    ]
    assert found, f"multisession.{module} has no place in LAYERS: give it one"
    return found[0]


def imports_of(path: Path) -> set[str]:
    """The dotted names that a module imports, wherever in it; relative ones made absolute."""
    inside = ["multisession", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level + 1] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            found |= {f"{origin}.{alias.name}" for alias in node.names}
    return found


MODULES = {
    module_name(path): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "migrations" not in path.parts and path != PACKAGE / "__init__.py"
}

#: The models know each other, as their tables do.
TOGETHER = "models"


def imported_modules(name: str) -> set[str]:
    """Those of our own modules that this one imports: the deepest one of each dotted name."""
    found = set()
    for imported in imports_of(MODULES[name]):
        parts = imported.split(".")
        if parts[0] == "multisession":
            candidates = (".".join(parts[1:stop]) for stop in range(len(parts), 1, -1))
            found.add(next((each for each in candidates if each in MODULES), name))
    return found - {name}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_its_own_layer_and_below(name):
    own = layer_of(name)
    for other in imported_modules(name):
        assert layer_of(other) <= own, f"{name} imports {other}"


def test_no_module_needs_itself_in_the_end():
    """Within a layer too, imports run one way."""
    graph = {name: imported_modules(name) for name in MODULES}
    for name, others in graph.items():
        if name.startswith(TOGETHER):
            graph[name] = {other for other in others if not other.startswith(TOGETHER)}
    list(TopologicalSorter(graph).static_order())


def test_the_package_has_never_heard_of_the_demo():
    for path in PACKAGE.rglob("*.py"):
        origins = {name.split(".")[0] for name in imports_of(path)}
        assert not origins & {"accounts", "config", "tests"}, path


def test_the_package_needs_django_alone():
    for path in PACKAGE.rglob("*.py"):
        if "contrib" in path.parts:
            continue  # for projects that have the other package
        origins = {name.split(".")[0] for name in imports_of(path)}
        foreign = origins - sys.stdlib_module_names - {"django", "asgiref", "multisession"}
        foreign -= OPTIONAL.get(module_name(path), set())
        assert not foreign, path


def test_importing_the_package_imports_nothing():
    assert imports_of(PACKAGE / "__init__.py") == set()


def test_the_engine_can_be_imported_before_the_apps_are_ready():
    """Django imports SESSION_ENGINE from places that run while the registry is being filled."""
    program = (
        "from django.conf import settings; settings.configure();"
        "import multisession.backends.db as engine;"
        "import sys; assert 'multisession.models' not in sys.modules; engine.SessionStore()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=PACKAGE.parent)
