"""Templates: one environment, escaping always on, and the few filters that turn numbers into words."""

from __future__ import annotations

import datetime
import hashlib
import time
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

STATIC = Path(__file__).parent / "static"


@cache
def environment() -> jinja2.Environment:
    """The Jinja environment; an undefined name in a template is an error, not an empty place."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        size=size_text, duration=duration_text, ago=ago_text, when=when_text, count=count_text, percent=percent_text,
        segment=lambda text: quote(str(text), safe=""), short=short_name, module=module_name, breakable=breakable,
        time_tag=time_tag,
    )  # fmt: skip
    made.globals["asset"] = asset_url
    return made


def render(template: str, **values: Any) -> str:
    """A page's HTML."""
    return environment().get_template(template).render(**values)


@cache
def asset_url(name: str) -> str:
    """The URL of a static file, with the digest of its content, so that it can be cached for ever."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def size_text(size: float) -> str:
    """`1.4 MB`, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def duration_text(seconds: float) -> str:
    """`12 ms`, `3.4 s`, `5 min`, `2.5 h`, `3 d`."""
    if seconds <= 0:
        return "–"
    if seconds < 0.0005:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.5:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.0f} d"


def ago_text(at: float) -> str:
    """`5 min ago`, or a date if it is long ago."""
    if not at:
        return "never"
    past = time.time() - at
    if past < 5:
        return "just now"
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (48 * 3600, 3600, "h"), (14 * 86_400, 86_400, "days")):
        if past < limit:
            return f"{past / unit:.0f} {name} ago"
    return when_text(at)[:10]


def when_text(at: float) -> str:
    """`2026-11-24 21:05:12` in UTC."""
    try:
        return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return "unknown"


def time_tag(at: float) -> Markup:
    """A `<time>` that says how long ago, with the full moment in its title."""
    return Markup('<time datetime="{0}Z" title="{1} UTC">{2}</time>').format(
        when_text(at).replace(" ", "T"), when_text(at), ago_text(at)
    )


def count_text(number: float) -> str:
    """`12,345`."""
    return f"{number:,.0f}"


def percent_text(share: float | None) -> str:
    """`83 %`, a dash for nothing."""
    return "–" if share is None else f"{share * 100:.0f} %"


def short_name(symbol: str) -> str:
    """`Class.method` of a symbol."""
    return symbol.partition(":")[2] or symbol


def module_name(symbol: str) -> str:
    """`pkg.mod` of a symbol."""
    return symbol.partition(":")[0] if ":" in symbol else ""


def breakable(text: str) -> Markup:
    """The text, with places where a long name may break into lines."""
    escaped = Markup.escape(text)
    return Markup(str(escaped).replace(".", ".<wbr>").replace("_", "_<wbr>"))
