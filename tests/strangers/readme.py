"""The lines of README.md that install the package, applied to a project as a reader would.

They are read from the README itself, so that what it says is what is tested. In its Python lines
``[..., x]`` means "add x at the end", ``[..., x, ...]  # instead of Django's`` "put x in the place
of Django's own", and anything else is a new setting. The route of the Backend API comes along.
"""

import ast
import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
INSTALL = "Add it to a project"
API = "Lists"


def block(language: str, heading: str = INSTALL) -> str:
    """Return the first block of code in this language under the heading."""
    section = README.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    section = section.partition("\n## ")[0]
    found = re.search(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert found, f"README.md has no {language} under {heading!r}"
    return found[1]


def apply(settings: Path, urls: Path, template: Path | None = None) -> None:
    """Do what the README says to these files of a project."""
    for line in ast.parse(block("python")).body:
        assert isinstance(line, ast.Assign), ast.unparse(line)
        _apply_line(urls if _name(line) == "urlpatterns" else settings, line)
    route = block("python", API).strip()
    urls.write_text(
        f"{urls.read_text(encoding='utf-8')}\nurlpatterns += [{route}]\n", encoding="utf-8"
    )
    if template is not None:
        html = template.read_text(encoding="utf-8")
        assert "<body>" in html, template
        html = html.replace("<body>", f"<body>\n{block('html')}")
        template.write_text(html, encoding="utf-8")


def _name(line: ast.Assign) -> str:
    (target,) = line.targets
    assert isinstance(target, ast.Name), ast.unparse(line)
    return target.id


def _apply_line(file: Path, line: ast.Assign) -> None:
    code, name = file.read_text(encoding="utf-8"), _name(line)
    items = line.value.elts if isinstance(line.value, ast.List) else []
    dots = [isinstance(item, ast.Constant) and item.value is ... for item in items]
    new = [ast.unparse(item) for item, is_dots in zip(items, dots, strict=True) if not is_dots]
    if dots[:1] == [True] and dots[-1] is False:
        code += f"\n{name} += [{', '.join(new)}]\n"
    elif dots[:1] == [True]:
        (ours,) = new
        django = f'"django.contrib.sessions.middleware.{ours.rpartition(".")[2][:-1]}"'
        stock = re.compile(re.escape(django).replace('"', "[\"']"))
        assert len(stock.findall(code)) == 1, f"{file} has no {django}"
        code = stock.sub(ours, code)
    else:
        code += f"\n{ast.unparse(line)}\n"
    if name == "urlpatterns":
        code = re.sub(r"^(from django.urls import) path$", r"\1 include, path", code, flags=re.M)
    file.write_text(code, encoding="utf-8")
