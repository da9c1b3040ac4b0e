"""The lines of README.md that install the package, applied to a project as a reader would.

They are read from the README itself, so that what it says is what is tested, and from two pages
that it leads to: for a project that startproject has just made, and for the Backend API. The
paragraph before a block of code names its file. In its Python lines ``[..., x]`` means "add x at
the end", ``[..., x, ...]  # instead of Django's`` "put x in the place of Django's own", and
anything else is new.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: A file, and the heading in it.
INSTALL = ("README.md", "## Add it to a project")
NEW_PROJECT = ("docs/howto/new-project.md", "# In a new project")
API = ("docs/reference/backend-api.md", "## HTTP")
#: The paragraph before a block, and the block.
BLOCK = re.compile(
    r"(?P<paragraph>(?:^(?!```)[^\n]+\n)+)\n```(?P<language>python|html)\n(?P<code>[\s\S]*?)^```",
    re.MULTILINE,
)


def blocks(page: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Return the blocks of code under a heading: the place that is named before each, and it."""
    file, heading = page
    text = "\n" + (ROOT / file).read_text(encoding="utf-8")
    section = text.partition(f"\n{heading}\n")[2]
    section = re.split(r"^#{2,3} ", section, maxsplit=1, flags=re.MULTILINE)[0]
    for block in BLOCK.finditer(section):
        places = re.findall(r"`([^`\n]+\.(?:py|html)|<\w+>)`", block["paragraph"])
        yield (places[-1] if places else ""), block["code"]


def block(place: str, page: tuple[str, str] = INSTALL) -> str:
    """Return the block for this place under a heading."""
    found = dict(blocks(page))
    assert place in found, f"{page[0]} has no lines for {place!r} under {page[1]!r}"
    return found[place]


def apply(settings: Path, urls: Path, template: Path | None = None) -> None:
    """Do what the README says to these files of a project."""
    _apply_python(settings, block("settings.py"))
    _apply_python(urls, block("urls.py"))
    _place, route = next(blocks(API))
    code = urls.read_text(encoding="utf-8")
    urls.write_text(f"{code}\nurlpatterns += [{route.strip()}]\n", encoding="utf-8")
    if template is not None:
        html = template.read_text(encoding="utf-8")
        assert "<body>" in html, template
        html = html.replace("<body>", f"<body>\n{block('<body>')}")
        before = "</head>" if "</head>" in html else "<body>"
        html = html.replace(before, f"{block('<head>')}{before}")
        template.write_text(html, encoding="utf-8")


def apply_to_new_project(place: Path, name: str = "mysite") -> None:
    """Do all that the README says to what ``django-admin startproject`` has made."""
    settings, urls = place / name / "settings.py", place / name / "urls.py"
    made = [file for file, _code in blocks(NEW_PROJECT) if file.endswith(".html")]
    for file in made:
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_text(block(file, NEW_PROJECT), encoding="utf-8")
    apply(settings, urls, place / made[0])
    _apply_python(settings, block("settings.py", NEW_PROJECT))
    _apply_python(urls, block("urls.py", NEW_PROJECT))


def _apply_python(file: Path, lines: str) -> None:
    for line in ast.parse(lines).body:
        code = file.read_text(encoding="utf-8")
        if isinstance(line, ast.ImportFrom):
            code = _with_import(code, ast.unparse(line))
        else:
            assert isinstance(line, ast.Assign), ast.unparse(line)
            code = _with_assignment(code, line, file)
        file.write_text(code, encoding="utf-8")


def _with_import(code: str, line: str) -> str:
    """Put the import before the first statement, behind the docstring."""
    first = next(
        statement
        for statement in ast.parse(code).body
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    )
    lines = code.splitlines(keepends=True)
    return "".join([*lines[: first.lineno - 1], f"{line}\n", *lines[first.lineno - 1 :]])


def _with_assignment(code: str, line: ast.Assign, file: Path) -> str:
    items = line.value.elts if isinstance(line.value, ast.List) else []
    dots = [isinstance(item, ast.Constant) and item.value is ... for item in items]
    new = [ast.unparse(item) for item, is_dots in zip(items, dots, strict=True) if not is_dots]
    if dots[:1] == [True] and dots[-1] is False:
        (name,) = line.targets
        return f"{code}\n{ast.unparse(name)} += [{', '.join(new)}]\n"
    if dots[:1] == [True]:
        (ours,) = new
        django = f'"django.contrib.sessions.middleware.{ours.rpartition(".")[2][:-1]}"'
        stock = re.compile(re.escape(django).replace('"', "[\"']"))
        assert len(stock.findall(code)) == 1, f"{file} has no {django}"
        return stock.sub(ours, code)
    return f"{code}\n{ast.unparse(line)}\n"
