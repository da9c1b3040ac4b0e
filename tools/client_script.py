"""Make ``client.classic.js`` from ``client.js``: ``python -m tools.client_script``.

A page that calls ``window.Clerk`` in a script of its own cannot wait for a module.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "multisession" / "static" / "multisession"
MODULE, CLASSIC = SCRIPTS / "client.js", SCRIPTS / "client.classic.js"


def classic(module: str) -> str:
    """Return the module as a classic script: without exports, and with no global but ``Clerk``."""
    return "(() => {\n" + re.sub(r"^export ", "", module, flags=re.MULTILINE) + "})();\n"


if __name__ == "__main__":
    CLASSIC.write_text(classic(MODULE.read_text()))
