"""`preview_of`: what a dashboard can show of a result, made where the result is, bounded, as plain JSON values.

    {"kind": "text",  "title": "", "data": "…"}
    {"kind": "table", "title": "", "data": {"columns": […], "rows": [[…]], "note": "1000 × 5"}}
    {"kind": "image/png" | "image/svg+xml", "title": "", "data": base64}
    {"kind": "text/html", "title": "", "data": "<…>"}      shown in a sandbox without scripts
    {"kind": "plotly", "title": "", "data": {figure}}

Libraries are recognised by their loaded modules: nothing is imported for the sake of a preview.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import reprlib
import struct
import sys
import zlib
from collections.abc import Iterator
from typing import Any

MAX_ROWS = 20
MAX_COLUMNS = 20
MAX_CELL = 80
MAX_TEXT = 4_000
MAX_BYTES = 120_000
MAX_PREVIEWS = 8
MAX_PIXELS = 320

Preview = dict[str, Any]
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 20


def preview_of(value: Any) -> list[Preview]:
    """Previews of `value` and, if it is a container or dataclass, of its fields; [] if its text says it all."""
    found: list[Preview] = []
    size = 0
    for title, part in _parts(value):
        try:
            preview = _preview(part)
        except Exception:  # noqa: BLE001  a value's own repr or drawing may raise anything; then it has no preview
            continue
        if preview is None:
            continue
        weight = len(json.dumps(preview, default=str))
        if size + weight > MAX_BYTES or len(found) == MAX_PREVIEWS:
            break
        size += weight
        found.append({"kind": preview["kind"], "title": title, "data": preview["data"]})
    return found


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if type(value) is dict:
        yield from ((str(name)[:60], item) for name, item in list(value.items())[:50] if not _is_plain(item))
    elif isinstance(value, tuple):
        names = getattr(type(value), "_fields", range(len(value)))
        yield from ((str(n), item) for n, item in list(zip(names, value, strict=False))[:50] if not _is_plain(item))
    elif hasattr(type(value), "__dataclass_fields__"):
        fields = ((name, getattr(value, name, None)) for name in list(type(value).__dataclass_fields__)[:50])
        yield from ((name, item) for name, item in fields if not _is_plain(item))
    if not _is_plain(value):
        yield "", value


def _is_plain(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, bool | int | float | complex)
        or (isinstance(value, str) and len(value) < 200)
    )


def _preview(value: Any) -> Preview | None:
    """The best preview of one value."""
    for module, name, show in _KNOWN:
        library = sys.modules.get(module)
        kind = getattr(library, name, None) if library is not None else None
        if isinstance(kind, type) and isinstance(value, kind):
            return show(value)
    for method, mime in (("_repr_svg_", "image/svg+xml"), ("_repr_png_", "image/png"), ("_repr_html_", "text/html")):
        draw = getattr(type(value), method, None)
        if draw is not None:
            drawn = draw(value)
            if drawn:
                return _drawn(mime, drawn)
    if isinstance(value, str):
        return {"kind": "text", "data": value[:MAX_TEXT]}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"kind": "text", "data": f"{len(value)} bytes"}
    return {"kind": "text", "data": _SHORT.repr(value)[:MAX_TEXT]}


def _drawn(mime: str, drawn: str | bytes) -> Preview | None:
    if mime == "text/html":
        text = drawn.decode() if isinstance(drawn, bytes) else drawn
        return {"kind": mime, "data": text} if len(text) < MAX_BYTES else None
    data = drawn.encode() if isinstance(drawn, str) else drawn
    return _image(mime, data)


def _image(mime: str, data: bytes) -> Preview | None:
    return {"kind": mime, "data": base64.b64encode(data).decode()} if len(data) < MAX_BYTES * 3 // 4 else None


def _frame(frame: Any) -> Preview:
    shape = tuple(frame.shape)
    head = frame.iloc[:MAX_ROWS, :MAX_COLUMNS] if hasattr(frame, "iloc") else frame[:MAX_ROWS, :MAX_COLUMNS]
    columns = [_cell(name) for name in head.columns]
    rows = [
        [_cell(item) for item in row]
        for row in (head.itertuples(index=False) if hasattr(head, "itertuples") else head.rows())
    ]
    if hasattr(head, "index"):
        columns = ["", *columns]
        rows = [[_cell(name), *row] for name, row in zip(head.index, rows, strict=False)]
    return _table(columns, rows, f"{shape[0]:,} rows × {shape[1]:,} columns")


def _series(series: Any) -> Preview:
    head = series.iloc[:MAX_ROWS] if hasattr(series, "iloc") else series[:MAX_ROWS]
    names = head.index if hasattr(head, "index") else range(len(head))
    rows = [[_cell(name), _cell(item)] for name, item in zip(names, head, strict=False)]
    return _table(["", _cell(getattr(series, "name", "") or "value")], rows, f"{len(series):,} values")


def _array(array: Any) -> Preview:
    if _looks_like_image(array):
        picture = _pixels(array)
        if picture is not None:
            return picture
    note = f"{array.dtype}, {' × '.join(f'{n:,}' for n in array.shape) or 'scalar'}"
    if array.dtype.kind in "iuf" and array.size:
        numbers = array if array.size < 5_000_000 else array.reshape(-1)[:5_000_000]
        note += f"; min {numbers.min():.6g}, mean {numbers.mean():.6g}, max {numbers.max():.6g}"
    if array.ndim == 2 and array.dtype.kind != "V":
        head = array[:MAX_ROWS, :MAX_COLUMNS]
        return _table([str(i) for i in range(head.shape[1])], [[_cell(x) for x in row] for row in head.tolist()], note)
    head = array.reshape(-1)[: MAX_ROWS * 2].tolist()
    return {
        "kind": "text",
        "data": f"{note}\n[{', '.join(_cell(x) for x in head)}{', …' if array.size > len(head) else ''}]",
    }


def _looks_like_image(array: Any) -> bool:
    colours = array.ndim == 3 and array.shape[2] in (3, 4)
    return str(array.dtype) == "uint8" and (array.ndim == 2 or colours) and min(array.shape[:2]) >= 16


def _pixels(array: Any) -> Preview | None:
    for most in (MAX_PIXELS, MAX_PIXELS // 2, MAX_PIXELS // 4):
        step = math.ceil(max(array.shape[:2]) / most)
        shown = _image("image/png", _png(array[::step, ::step]))
        if shown is not None:
            return shown
    return None


def _png(pixels: Any) -> bytes:
    """A PNG file of an array of bytes. Each row is stored as its difference from the one above, which packs better."""
    height, width = pixels.shape[:2]
    colour_type = {2: 0, 3: 2, 4: 6}[pixels.ndim if pixels.ndim == 2 else pixels.shape[2]]
    above = pixels[:1] * 0
    rows = b""
    for y in range(height):
        row = pixels[y : y + 1]
        rows += b"\2" + (row - above).tobytes()
        above = row
    head = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", binascii.crc32(name + body))
    return data


def _matplotlib(figure: Any) -> Preview | None:
    for dpi in (100, 60, 40):
        target = io.BytesIO()
        figure.savefig(target, format="png", dpi=dpi, bbox_inches="tight")
        shown = _image("image/png", target.getvalue())
        if shown is not None:
            return shown
    return None


def _axes(axes: Any) -> Preview | None:
    return _matplotlib(axes.figure)


def _pillow(image: Any) -> Preview | None:
    small = image.convert("RGBA" if "A" in image.getbands() else "RGB")
    small.thumbnail((MAX_PIXELS, MAX_PIXELS))
    target = io.BytesIO()
    small.save(target, "PNG")
    return _image("image/png", target.getvalue())


def _plotly(figure: Any) -> Preview | None:
    text = figure.to_json()
    return {"kind": "plotly", "data": json.loads(text)} if len(text) < MAX_BYTES else None


def _table(columns: list[str], rows: list[list[str]], note: str) -> Preview:
    return {"kind": "table", "data": {"columns": columns, "rows": rows, "note": note}}


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)[:MAX_CELL]


_KNOWN = (
    ("pandas", "DataFrame", _frame),
    ("pandas", "Series", _series),
    ("polars", "DataFrame", _frame),
    ("polars", "Series", _series),
    ("numpy", "ndarray", _array),
    ("matplotlib.figure", "Figure", _matplotlib),
    ("matplotlib.axes", "Axes", _axes),
    ("PIL.Image", "Image", _pillow),
    ("plotly.graph_objects", "Figure", _plotly),
    ("plotly.basedatatypes", "BaseFigure", _plotly),
)
