"""Imports run one way, so that the code can be read from the bottom to the top."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "multisession"

#: From the bottom to the top. A module imports only from those above its own line in this list,
#: whether at its head, inside a function or for the type checker.
LAYERS = (
    {
        "tokens",
        "conf",
        "signals",
        "serialization",
        "cookies",
        "asking",
        "coroutines",
        "django_private",
        "moments",
    },
    {"origin", "impersonation"},
    {"models", "profiles", "browsers"},
    {"purge", "lists", "user_changes"},
    {"engine.prepared", "engine.placing", "engine.attempts"},
    {"engine.quick", "engine.departure"},
    {"engine.users", "engine.adoption"},
    {"engine.opening"},
    {"engine.steps"},
    {"engine.cookie", "engine.next_account"},
    {"engine.store"},
    {"backends.db", "backends.cached_db", "backends.adopting"},
    {"request"},
    {"request_user", "doubled"},
    {"items"},
    {"menu", "any_page", "kept_fields", "csrf_secrets"},
    {"page_tokens"},
    {"guard"},
    {"refusal", "offers", "actions", "receivers", "passwords", "fragments"},
    {"where", "limit", "sending"},
    {"middleware"},
    {
        "checks",
        "checks_storage",
        "admin_pages",
        "views",
        "decorators",
        "mixins",
        "templatetags.multisession",
    },
    {"admin_list", "checks_urls", "where_views"},
    {"admin_events"},
    {"admin"},
    {"api.errors", "api.resources", "api.openapi"},
    {"api.keys"},
    {"api.views"},
    {"management"},
    {"contrib.impersonation.receivers"},
    {"urls", "api.urls", "apps", "contrib"},
)

#: What a module makes use of where it is installed, and does without where it is not.
OPTIONAL = {"browsers": {"ua_parser"}, "engine.prepared": {"psycopg"}}


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


#: Packages that are one module in several files: what is in them may need each other.
TOGETHER = {"models"}

MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "migrations" not in path.parts
    and (path.name != "__init__.py" or path.parent.name in TOGETHER)
]


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_imports_only_from_below(path):
    own = layer_of(module_name(path))
    known = {module_name(other) for other in MODULES}
    for imported in imports_of(path):
        parts = imported.split(".")
        if parts[0] != "multisession":
            continue
        candidates = (".".join(parts[1:stop]) for stop in range(len(parts), 1, -1))
        module = next((name for name in candidates if name in known), None)
        if module is None or module == module_name(path):
            continue
        packages = {name.split(".")[0] for name in (module, module_name(path))}
        if len(packages) > 1 or not packages <= TOGETHER:
            assert layer_of(module) < own, f"{module_name(path)} imports {module}"


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
