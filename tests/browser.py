"""A browser without a screen, for the tests of pages that work from disk."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

needs_chromium = pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
# Errors and requests are noted from the first moment on; a test's own script hands over what it saw by `tell`.
LISTEN = """<script>
window.errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
for (const level of ["error", "warn"]) console[level] = (...words) => errors.push(words.join(" "));
function tell(notes) {
  const asked = performance.getEntriesByType("resource").map(({ name }) => name);
  const requests = asked.filter((name) => !/^(data|blob):/.test(name));
  const wide = document.documentElement.scrollWidth <= innerWidth;
  const pre = document.createElement("pre");
  pre.id = "notes";
  pre.textContent = JSON.stringify({ ...notes, wide, requests, errors });
  document.body.append(pre);
}
</script>"""


def visit(page: Path, user: str, folder: Path, fragment: str = "", width: int = 1200) -> dict[str, Any]:
    """Open a page and return what its user noted.

    Args:
        page: an HTML file.
        user: the script of one who does things on the page once it is loaded, and calls `tell` with an object.
        folder: an existing one, for a copy of the page and the browser's profile.
        fragment: of the address, with its #.
        width: of the window in pixels.

    Returns:
        What he told, "errors" and warnings of the page, "requests" other than for data URIs, and "wide": whether the
        page is no wider than the window.
    """
    before, end, after = page.read_text(encoding="utf-8").rpartition("</body>")
    text = f"{before}<script>\n{user}\n</script>{end}{after}".replace("<head>", f"<head>{LISTEN}", 1)
    copy = folder / f"visited-{page.name}"
    copy.write_text(text, encoding="utf-8")
    words = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
             "--dump-dom", f"--window-size={width},800", "--virtual-time-budget=20000",
             f"{copy.as_uri()}{fragment}"]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    notes = re.search(r'<pre id="notes">(.*?)</pre>', done.stdout, re.DOTALL)
    assert notes, done.stderr
    return json.loads(html.unescape(notes[1]))
