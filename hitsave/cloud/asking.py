"""`Asking`: one question to the server, with every way that it can fail turned into None and said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hitsave.cloud.transport import Refused, Unreachable
from hitsave.store.trouble import Trouble
from hitsave.wire import WireError

T = TypeVar("T")


class Asking:
    """`refused_for_good`: the key is no good, so nothing is asked any more."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self.refused_for_good = False

    def ask(self, question: Callable[[], T]) -> T | None:
        """The answer, or None (said once) if there is none."""
        try:
            return question()
        except Unreachable as error:
            self.report(f"is not reachable ({error.message})")
        except Refused as error:
            if error.status in (401, 403):
                self.refused_for_good = True
            self.report(f"refused a request ({error.message})", "Check the key with `hitsave doctor`, or log in again.")
        except WireError as error:
            self.report(f"doesn't speak our language ({error})")
        return None

    def report(
        self, what: str, hint: str = "`hitsave doctor` tells more; results are kept here and sent later."
    ) -> None:
        """Warn, if this is the first trouble with the server."""
        self._trouble.report(what, hint)
