"""`Config`: every setting, where it came from, and nothing else.

Order, first wins: `hitsave.configure(...)`, environment (`HITSAVE_<NAME>`), `[tool.hitsave]` of the project's
`pyproject.toml`, the user's `config.toml` (in `HITSAVE_CONFIG_DIR`), default. A project file may tighten what is
trusted (`verify`, `allow_pickle`), never loosen it. An unknown setting or value is a `ConfigError` that names the
place.
"""

from __future__ import annotations

import os
import sys

from hitsave.errors import ConfigError
from hitsave.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Config(Record):
    """All settings, frozen. Sizes in bytes, times in seconds.

    `dir` is the cache directory, `config_dir` holds keys and credentials, `remote` is the server's URL ("" = none).
    `origins` maps a setting to where its value came from (for `hitsave config`).
    """

    dir: str
    config_dir: str
    mode: str = "on"
    offline: bool = False
    remote: str = ""
    remote_mode: str = "both"
    api_key: str = ""
    project: str = "default"
    max_size: int = 20 << 30
    max_age: float = 0.0
    third_party: str = "version"
    third_party_packages: tuple[tuple[str, str], ...] = ()
    impure: str = "warn"
    observe: str = "auto"
    verify: str = "on"
    allow_pickle: str = "local"
    live: str = "auto"
    log: str = "warning"
    roots: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    instrument_memo: tuple[str, ...] = ()
    instrument_experiment: tuple[str, ...] = ()
    origins: tuple[tuple[str, str], ...] = ()

    def origin(self, setting: str) -> str:
        """Where the value of `setting` came from: "default", "environment", a file, or "configure()"."""
        return dict(self.origins).get(setting, "default")


CHOICES = {
    "mode": ("on", "off", "refresh", "readonly"),
    "remote_mode": ("both", "pull", "push"),
    "third_party": ("version", "minor", "ignore"),
    "impure": ("warn", "refuse", "allow"),
    "observe": ("auto", "off"),
    "verify": ("strict", "on", "off"),
    "allow_pickle": ("never", "local", "signed"),
    "live": ("auto", "safe", "notify", "off"),
    "log": ("debug", "info", "warning", "error"),
}
# From strictest to loosest; a project file may only move to the left of what the user has.
TRUST = {"verify": ("strict", "on", "off"), "allow_pickle": ("never", "local", "signed")}
LISTS = frozenset(("roots", "exclude", "instrument_memo", "instrument_experiment"))
# Settings that say whom to trust or where secrets go come from the user or the environment, never from a checkout.
NOT_FROM_PROJECT = frozenset(("config_dir", "api_key"))
SETTINGS = tuple(field for field in Config._fields if field not in ("origins", "third_party_packages"))


def load_config(root: str, environ: Mapping[str, str] | None = None, **given: Any) -> Config:
    """The settings for the project at `root`. Raises `ConfigError` for one that can't be understood."""
    env = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}

    def take(found: Mapping[str, Any], origin: str) -> None:
        for name, value in found.items():
            values[name] = _understand(name, value, origin)
            origins[name] = origin

    config_dir = env.get("HITSAVE_CONFIG_DIR") or _platform_dir("config", env)
    user_file = os.path.join(config_dir, "config.toml")
    take(_read_user(user_file), user_file)
    project_file = os.path.join(root, "pyproject.toml")
    take(_tightened(_read_project(project_file), values, project_file), project_file)
    take(_read_environment(env), "environment")
    take(given, "configure()")
    values.setdefault("dir", _platform_dir("cache", env))
    values.setdefault("config_dir", config_dir)
    values["dir"] = os.path.abspath(os.path.join(root, os.path.expandvars(os.path.expanduser(values["dir"]))))
    return Config(**values, origins=tuple(sorted(origins.items())))


def _read_environment(env: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in SETTINGS:
        value = env.get("HITSAVE_" + name.upper())
        if value is not None and (value or name in LISTS):
            found[name] = [part for part in value.split(os.pathsep) if part] if name in LISTS else value
    return found


def _read_user(path: str) -> dict[str, Any]:
    return _flatten(_read_toml(path), path)


def _read_project(path: str) -> dict[str, Any]:
    # Parsing TOML costs 10 ms of imports, so look for the table's name first.
    try:
        with open(path, "rb") as file:
            if b"tool.hitsave" not in file.read():
                return {}
    except OSError:
        return {}
    table = _read_toml(path).get("tool", {}).get("hitsave", {})
    found = _flatten(table, path)
    for name in NOT_FROM_PROJECT & found.keys():
        raise ConfigError(
            f"{path}: [tool.hitsave] can't set {name!r}",
            hint=f"Set it for yourself: HITSAVE_{name.upper()}, or the user's config.toml.",
        )
    return found


def _read_toml(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return {}
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", hint="Mend the file, or move it away.") from None


def _flatten(table: Mapping[str, Any], path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name == "third_party" and isinstance(value, dict):
            packages = {str(k): _choice("third_party", v, path) for k, v in value.items() if k != "default"}
            found["third_party_packages"] = tuple(sorted(packages.items()))
            if "default" in value:
                found["third_party"] = value["default"]
        elif name == "instrument" and isinstance(value, dict):
            for kind, patterns in value.items():
                found["instrument_" + kind] = patterns
        elif name != "functions":
            found[name] = value
    return found


def _tightened(found: dict[str, Any], user: Mapping[str, Any], path: str) -> dict[str, Any]:
    for name, order in TRUST.items():
        if name in found:
            mine = user.get(name, Config._defaults[name])
            wanted = _choice(name, found[name], path)
            found[name] = wanted if order.index(wanted) <= order.index(mine) else mine
    return found


def _understand(name: str, value: Any, origin: str) -> Any:
    if name == "third_party_packages":
        return value
    if name not in SETTINGS:
        raise ConfigError(
            f"{origin}: there is no setting {name.replace('_', '-')!r}", hint=f"Settings: {', '.join(SETTINGS)}"
        )
    if name in CHOICES:
        return _choice(name, value, origin)
    if name in LISTS:
        if isinstance(value, str) or not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{origin}: {name} must be a list of strings, not {value!r}")
        return tuple(value)
    if name == "offline":
        return _boolean(name, value, origin)
    if name == "max_size":
        return _size(name, value, origin)
    if name == "max_age":
        return _duration(name, value, origin)
    if not isinstance(value, str):
        raise ConfigError(f"{origin}: {name} must be a string, not {value!r}")
    return value


def _choice(name: str, value: Any, origin: str) -> str:
    if value not in CHOICES[name]:
        raise ConfigError(f"{origin}: {name} is {value!r}", hint=f"Use one of: {', '.join(CHOICES[name])}")
    return str(value)


def _boolean(name: str, value: Any, origin: str) -> bool:
    text = str(value).lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise ConfigError(f"{origin}: {name} is {value!r}", hint="Use true or false (1 or 0 in the environment).")


UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def _size(name: str, value: Any, origin: str) -> int:
    text = str(value).strip().upper()
    for suffix in ("IB", "B"):
        text = text.removesuffix(suffix) if text[:-1].strip() else text
    number, unit = _split_unit(text)
    if number is None or unit not in UNITS:
        raise ConfigError(f"{origin}: {name} is {value!r}", hint='Write a size such as "20G" or a number of bytes.')
    return int(number * UNITS[unit])


def _duration(name: str, value: Any, origin: str) -> float:
    number, unit = _split_unit(str(value).strip().lower())
    if number is None or unit not in SECONDS:
        raise ConfigError(f"{origin}: {name} is {value!r}", hint='Write a time such as "7d", "12h" or seconds.')
    return number * SECONDS[unit]


def parse_size(value: Any, name: str = "size") -> int:
    """Bytes in a number or text such as "20G". Raises `ConfigError` otherwise."""
    return _size(name, value, "given")


def parse_duration(value: Any, name: str = "ttl") -> float:
    """Seconds in a number, a `timedelta`, or text such as "7d". Raises `ConfigError` otherwise."""
    total = getattr(value, "total_seconds", None)
    return float(total()) if total is not None else _duration(name, value, "memo()")


def _split_unit(text: str) -> tuple[float | None, str]:
    digits = text.rstrip("BKMGTbkmgtshdw ")
    try:
        return float(digits), text[len(digits) :].strip()
    except ValueError:
        return None, ""


def _platform_dir(kind: str, env: Mapping[str, str]) -> str:
    """The user's cache or config directory, as the platform names it (XDG, Apple, Windows)."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = env.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
        return os.path.join(base, "hitsave", "Cache" if kind == "cache" else "Config")
    if sys.platform == "darwin":
        folder = "Caches" if kind == "cache" else "Application Support"
        return os.path.join(home, "Library", folder, "hitsave")
    variable, fallback = {"cache": ("XDG_CACHE_HOME", ".cache"), "config": ("XDG_CONFIG_HOME", ".config")}[kind]
    return os.path.join(env.get(variable) or os.path.join(home, fallback), "hitsave")
