"""Every kind of edit: right, or declined with a reason; never silently wrong, and never a wrong result in the store."""

from __future__ import annotations

import warnings

import pytest

import hitsave
from hitsave.errors import HitSaveWarning
from tests.live.conftest import Bench
from tests.live.fuzz import check_store
from tests.live.kinds import KINDS, Kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_edit_is_right_or_declined(bench: Bench, kind: Kind) -> None:
    bench.write("lib", kind.lib)
    bench.write("app", kind.app)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HitSaveWarning)
        app = bench.load("app")
        assert app.top(kind.x) == kind.before
        bench.start()
        bench.edit("lib", kind.old, kind.new)
        bench.sync()
        assert app.top(kind.x) == (kind.now if kind.swapped else kind.before)
        assert app.top(kind.x) == app.top.uncached(kind.x)
    if kind.swapped:
        assert "swapped" in bench.kinds(), bench.events
        assert not bench.warnings
    else:
        assert "swapped" not in bench.kinds()
        [said] = bench.warnings
        assert kind.reason in said, said
    session = hitsave.session.current()
    sources = [session.book.source(bench.path(name).stem) for name in ("lib", "app")]
    texts = {source.module: source.data.decode() for source in sources if source is not None}
    stored, wrong = check_store(session, app.__name__, texts)
    assert stored
    assert not wrong
