"""The report as one HTML file that needs nothing else: no network, no library; a hundred runs take about a megabyte."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ASSETS = Path(__file__).parent / "assets"


def page(content: Mapping[str, Any]) -> str:
    """Returns the page that shows `content` (deepcrl.report.content)."""
    data = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    filled = {
        "TITLE": html.escape(content["title"]),
        "STYLE": _asset("page.css"),
        "SCRIPT": "".join(map(_asset, ("chart.js", "maps.js", "pairs.js", "published.js", "page.js"))),
        # In a script element only `</` could end it, and `<!--` change how it is read
        "CONTENT": data.replace("<", "\\u003c"),
    }
    parts = _asset("page.html").split("@")
    return "".join(filled.get(part, part) if i % 2 else part for i, part in enumerate(parts))


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
