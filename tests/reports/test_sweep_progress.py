"""What a person reads of failures while a sweep proceeds."""

from cl_engine.reports.sweep_progress import SweepProgress


def told(capsys, *ends):
    progress = SweepProgress()
    progress.begun(9, 1, 1, 0)
    for number, state, why in ends:
        progress.ended(number, f"cell {number}", state, why, 1.0)
    progress.close()
    return capsys.readouterr().err.splitlines()[1:]


def test_a_failed_cell_is_counted_like_a_finished_one(capsys):
    lines = told(capsys, (1, "done", ""), (2, "failed", "E: no"), (3, "done", ""))
    assert [line.split()[0] for line in lines] == ["3/9", "4/9", "5/9"]
    assert lines[1] == "4/9 FAILED cell 2: E: no"


def test_equal_failures_are_one_line_with_all_their_cells_the_first_among_them(capsys):
    lines = told(capsys, *((n, "failed", "E: no") for n in (4, 2, 3, 8)), (6, "failed", "E: other"))
    assert lines[-1] == "4 cells failed alike (2-4,8): E: no"
    assert sum("E: no" in line for line in lines) == 2  # when it first happens, and in the end
    assert sum("other" in line for line in lines) == 1
