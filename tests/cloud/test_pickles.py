"""A pickle is a program: a colleague's is read only by who asked for that, and nobody's without a valid signature.

The results here are gadgets: reading one leaves a trace in a file.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from hitsave.server.database import tables
from tests.cloud.test_store import flip
from tests.cloud.test_two_homes import Person, people
from tests.harness import Done, Project
from tests.services import ThreadServer

__all__ = ["people"]

PROGRAM = """
import os
from hitsave import memo

def arise():
    with open(os.environ["TRACE"], "a") as file:
        file.write("x")
    return Gadget()

class Gadget:
    def __init__(self):
        self.hidden = lambda: None

    def __reduce__(self):
        return arise, ()

@memo
def make():
    print("computing")
    return Gadget()

make()
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


def run(person: Person, trace: Path, allow_pickle: str = "signed") -> Done:
    person.project.write({"gadget.py": PROGRAM})
    return person.run.python("gadget.py", env={"TRACE": str(trace), "HITSAVE_ALLOW_PICKLE": allow_pickle}).ok()


def test_signed_reads_the_teams_pickles(people: tuple[Person, Person], trace: Path) -> None:
    ann, bob = people
    assert run(ann, trace).lines == ["computing"]
    assert not trace.exists()
    done = run(bob, trace)
    assert (done.lines, done.stderr) == ([], "")
    assert trace.read_text() == "x"


@pytest.mark.parametrize("allow_pickle", ["local", "never"])
def test_otherwise_a_colleagues_pickle_is_a_miss_and_one_warning(
    people: tuple[Person, Person], trace: Path, allow_pickle: str
) -> None:
    ann, bob = people
    run(ann, trace)
    done = run(bob, trace, allow_pickle)
    assert done.lines == ["computing"]
    assert not trace.exists()
    assert done.stderr.count("only code can read") == 1
    assert f'allow_pickle = "{allow_pickle}"' in done.stderr


def test_local_reads_this_machines_own_and_uploads_no_second_one(
    people: tuple[Person, Person], trace: Path, server: ThreadServer
) -> None:
    ann, bob = people
    run(ann, trace)
    run(bob, trace, "local")
    assert run(bob, trace, "local").lines == []
    assert trace.read_text() == "x"
    with server.state.database.transaction() as connection:
        counts = [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (tables.entries, tables.conflicts)
        ]
    assert counts == [1, 0]


def test_never_reads_not_even_what_is_in_the_own_cache(people: tuple[Person, Person], trace: Path) -> None:
    ann, _ = people
    run(ann, trace)
    done = run(ann, trace, "never")
    assert done.lines == ["computing"]
    assert "isn't allowed" in done.stderr
    assert not trace.exists()


def test_what_this_machine_signed_itself_comes_back_from_the_server(
    project: Project, tmp_path: Path, server: ThreadServer, trace: Path
) -> None:
    ann = Person("ann", tmp_path / "homes", project, server)  # without a team key
    run(ann, trace)
    ann.run.cache = tmp_path / "another cache"
    assert run(ann, trace, "local").lines == []
    assert trace.read_text() == "x"


def test_without_the_teams_key_no_byte_is_unpickled(
    people: tuple[Person, Person], project: Project, tmp_path: Path, server: ThreadServer, trace: Path
) -> None:
    stranger = Person("eve", tmp_path / "homes", project, server)
    run(stranger, trace)
    ann, _ = people
    done = run(ann, trace)
    assert done.lines == ["computing"]
    assert "can't be trusted" in done.stderr
    assert not trace.exists()


@pytest.mark.parametrize("field", ["manifest", "tag", "data"])
def test_one_changed_bit_and_no_byte_is_unpickled(
    people: tuple[Person, Person], server: ThreadServer, trace: Path, field: str
) -> None:
    ann, bob = people
    run(ann, trace)
    with server.state.database.transaction() as connection:
        if field == "data":
            data = connection.execute(
                sa.select(tables.blobs.c.data).where(tables.blobs.c.data.isnot(None))
            ).scalar_one()
            connection.execute(sa.update(tables.blobs).values(data=data[:-1] + bytes([data[-1] ^ 1])))
        else:
            column = tables.entries.c[field]
            text = connection.execute(sa.select(column)).scalar_one()
            connection.execute(sa.update(tables.entries).values({field: flip(text, len(text) - 3)}))
    done = run(bob, trace)
    assert done.lines == ["computing"]
    assert not trace.exists()
