"""`hitsave config`: every setting, its value, and where it comes from."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from hitsave.cli.output import Output
from hitsave.config import SETTINGS, Config, load_config
from hitsave.errors import UsageError
from hitsave.project import find_project

SECRET = frozenset(("api_key",))


def add_config(parser: argparse.ArgumentParser) -> None:
    """Options of `hitsave config`."""
    parser.add_argument("action", nargs="?", default="show", choices=("show", "get", "set", "path"))
    parser.add_argument("name", nargs="?", help="a setting (get, set)")
    parser.add_argument("value", nargs="?", help="its new value in your own config.toml (set)")


def config(options: argparse.Namespace, output: Output) -> int:
    """Show all settings, get one, set one for this user, or say where the user's file is."""
    project = find_project(options.root or os.getcwd())
    settings = load_config(project.root)
    if options.action == "show":
        _show(settings, output)
        return 0
    file = Path(settings.config_dir) / "config.toml"
    if options.action == "path":
        output.emit({"path": str(file), "exists": file.exists()})
        output.line(str(file))
        return 0
    name = _known(options.name)
    if options.action == "get":
        value = getattr(settings, name)
        output.emit({name: _shown(name, value), "origin": settings.origin(name)})
        output.line(_text(name, value))
        return 0
    if options.value is None:
        raise UsageError("no value", hint=f"hitsave config set {name} VALUE")
    wanted = [part for part in options.value.split(",") if part] if _is_list(name) else options.value
    given: dict[str, Any] = {name: wanted}
    checked = getattr(load_config(project.root, **given), name)
    write_setting(settings, name, checked)
    output.emit({name: _shown(name, checked), "path": str(file)})
    output.remark(f"{name} = {_text(name, checked)} written to {file}")
    now = load_config(project.root)
    if getattr(now, name) != checked:
        output.warn(f"{now.origin(name)} still says {name} = {_text(name, getattr(now, name))}, and goes first")
    return 0


def _show(settings: Config, output: Output) -> None:
    output.emit(
        {name: {"value": _shown(name, getattr(settings, name)), "origin": settings.origin(name)} for name in SETTINGS}
    )
    rows = [(name, _text(name, getattr(settings, name)), settings.origin(name)) for name in SETTINGS]
    output.table(("SETTING", "VALUE", "FROM"), rows)


def _known(name: str | None) -> str:
    wanted = (name or "").replace("-", "_")
    if wanted not in SETTINGS:
        raise UsageError(f"there is no setting {name!r}", hint=f"Settings: {', '.join(SETTINGS)}")
    return wanted


def _is_list(name: str) -> bool:
    return isinstance(Config._defaults.get(name), tuple)


def _shown(name: str, value: object) -> object:
    if name in SECRET and value:
        return "(set)"
    return list(value) if isinstance(value, tuple) else value


def _text(name: str, value: object) -> str:
    shown = _shown(name, value)
    if isinstance(shown, list):
        return ", ".join(map(str, shown))
    return str(shown).lower() if isinstance(shown, bool) else str(shown)


def write_setting(config: Config, name: str, value: object) -> Path:
    """Set `name` at the top of the user's config.toml, leaving its other lines and comments as they are; the file."""
    file = Path(config.config_dir) / "config.toml"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    table = next((i for i, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    new = f"{name} = {_toml(value)}"
    for index, line in enumerate(lines[:table]):
        if line.partition("=")[0].strip().replace("-", "_") == name:
            lines[index] = new
            break
    else:
        lines.insert(table, new)
    # A file that may hold an API key is nobody else's business.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")
    return file


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    escaped = "".join(c if c >= " " and c not in '"\\\x7f' else f"\\u{ord(c):04x}" for c in str(value))
    return f'"{escaped}"'
