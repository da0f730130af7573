"""Errors and warnings, in one tree.

    HitSaveError
    ├── UsageError          wrong use: an unknown option, a misspelt `ignore=` name, a bad setting
    │   ├── ConfigError     a setting that can't be read or understood
    │   └── UnknownSymbol   a name that the code base doesn't define
    ├── CannotDigest        an argument or value has no stable digest
    ├── CannotEncode        a result can't be turned into bytes
    ├── UntrustedEntry      something stored failed its authenticity check (strict mode only)
    ├── StoreError          a store can't do its work: full, read-only, unreadable
    ├── Impure              `impure="refuse"` and the function read the clock, randomness, the network …
    └── CloudError          the server is unreachable or refused us

    HitSaveWarning
    ├── NotCachedWarning    this call ran, but wasn't looked up or stored
    ├── ImpureWarning       the result depends on something we can't put into a key
    ├── UnsoundWarning      code that analysis or observation could not follow
    ├── StoreWarning        the cache is damaged or unavailable; the program goes on without it
    └── LiveWarning         code changed on disk, and the old code still runs

Each class has a `slug`; docs/messages.md has a section per slug: what happened, and the ways out. A `hint` says what
to do next and is printed below the message.
"""

from __future__ import annotations


class HitSaveError(Exception):
    """Base of all errors that hitsave raises on its own behalf."""

    slug = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint)


def _rebuild(cls: type[HitSaveError], message: str, hint: str) -> HitSaveError:
    return cls(message, hint=hint)


class UsageError(HitSaveError, TypeError):
    """hitsave was called or configured in a way that can't be meant."""

    slug = "usage"


class ConfigError(UsageError):
    """A setting can't be read or understood."""

    slug = "config"


class UnknownSymbol(UsageError):
    """The code base doesn't define this name."""

    slug = "unknown-symbol"


class CannotDigest(HitSaveError):
    """A value has no stable digest; `path` leads to the culprit (`model.callbacks[2]`)."""

    slug = "cannot-digest"

    def __init__(self, message: str, *, hint: str = "", path: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class CannotEncode(HitSaveError):
    """A result can't be turned into bytes."""

    slug = "cannot-encode"


class UntrustedEntry(HitSaveError):
    """Something stored failed its authenticity check, under `verify = "strict"`."""

    slug = "untrusted-entry"


class StoreError(HitSaveError):
    """A store can't do its work."""

    slug = "store"


class Impure(HitSaveError):
    """The function depends on what no key can hold, under `impure="refuse"`."""

    slug = "impure"


class CloudError(HitSaveError):
    """The server is unreachable or refused the request."""

    slug = "cloud"


class HitSaveWarning(UserWarning):
    """Base of all warnings of hitsave; filter this one to filter all."""

    slug = "warning"


class NotCachedWarning(HitSaveWarning):
    """A call ran, but wasn't looked up or stored."""

    slug = "not-cached"


class ImpureWarning(HitSaveWarning):
    """A result depends on something that can't be put into a key."""

    slug = "impure-result"


class UnsoundWarning(HitSaveWarning):
    """Analysis or observation could not follow some code."""

    slug = "unsound"


class StoreWarning(HitSaveWarning):
    """The cache is damaged or unavailable; the program goes on without it."""

    slug = "store-trouble"


class LiveWarning(HitSaveWarning):
    """Code changed on disk, and the old code still runs."""

    slug = "live"
