"""Classes of a script in results and arguments, in real processes."""

from __future__ import annotations

from tests.harness import Project, Runner

SHAPES = """
import dataclasses, enum
from hitsave import memo

@dataclasses.dataclass
class Point:
    x: int

class Odd:
    def __init__(self, x):
        self.x = x

class Colour(enum.Enum):
    RED = 1

@memo
def make(x):
    print("computing", x)
    return [Point(x), Odd(x), Colour.RED, Odd]

@memo
def use(point, odd, colour, kind):
    print("using", point.x)
    return point.x + odd.x

if __name__ == "__main__":
    values = make(1)
    print("sum", use(*values), *[type(value) is kind for value, kind in zip(values, (Point, Odd, Colour))])
"""
USER = """
import shapes
values = shapes.make(1)
print("sum", shapes.use(*values), *[type(value).__module__ for value in values])
"""


def test_classes_of_a_script_are_known_in_results_and_arguments_however_it_is_run(
    project: Project, run: Runner
) -> None:
    project.write({"shapes.py": SHAPES, "user.py": USER})
    first = run.hitsave("run", "shapes.py").ok()
    assert first.lines == ["computing 1", "using 1", "sum 2 True True True"]
    assert run.hitsave("run", "shapes.py").ok().lines == ["sum 2 True True True"]
    assert run.hitsave("run", "-m", "shapes").ok().lines == ["sum 2 True True True"]
    assert run.python("shapes.py").ok().lines == ["sum 2 True True True"]
    assert run.hitsave("run", "user.py").ok().lines == ["sum 2 shapes shapes shapes builtins"]


def test_what_an_importer_stored_is_read_by_the_script(project: Project, run: Runner) -> None:
    project.write({"shapes.py": SHAPES, "user.py": USER})
    assert run.hitsave("run", "user.py").ok().lines[:2] == ["computing 1", "using 1"]
    assert run.hitsave("run", "shapes.py").ok().lines == ["sum 2 True True True"]
