"""What cached functions read before an evaluation began."""

from __future__ import annotations

from hitsave.observe import inputs
from hitsave.observe.watch import Sight


def reader() -> None:
    inputs.note_file("/a", (1,))
    inputs.note_variable("LEVEL", "1")


def test_an_evaluation_takes_over_what_a_function_had_read() -> None:
    reader()
    sight = Sight()
    inputs.take_over(sight, reader.__code__)
    assert sight.files["/a"] == (1,)
    assert sight.variables["LEVEL"] == "1"


def test_other_code_has_read_nothing_and_code_of_c_functions_is_unknown() -> None:
    sight = Sight()
    inputs.take_over(sight, test_an_evaluation_takes_over_what_a_function_had_read.__code__.replace(co_name="other"))
    inputs.take_over(sight, None)
    assert not sight.files and not sight.variables


def test_only_so_many_reads_are_kept() -> None:
    def many() -> None:
        for number in range(inputs.MOST_READS + 10):
            inputs.note_file(f"/{number}", (number,))

    many()
    sight = Sight()
    inputs.take_over(sight, many.__code__)
    assert len(sight.files) == inputs.MOST_READS
