"""What the cells of a table say; LaTeX is compiled where one is installed."""

import re
import shutil
import subprocess
from itertools import pairwise

import pytest

from cl_engine.errors import InputError
from cl_engine.reports.exports import latex_table, markdown_table
from tests.reports.exports.runs import frame, row, rows, sweep

UGLY = [
    "a_b & c",
    "50% #1 {x} $y$ ~ ^",
    "back\\slash",
    "<i>|x|</i>",
    'q"uote',
    "two\nlines",
    "*em* `code` [l](m)",
    "=1+1",
    "[10pt] x",
]


def cells(text, label):
    """Return the cells of a row of either table."""
    split = r" & | \\\\$" if "tabular" in text else r" *(?<!\\)\| *"
    (line,) = (line for line in text.splitlines() if re.match(rf"(\| )?{re.escape(label)} ", line))
    return [part for part in re.split(split, line) if part][1:]


def caption(text):
    return re.search(r"\\caption\{(.*)\}$", text, re.MULTILINE)[1]


def test_the_best_is_bold_the_second_underlined_and_what_may_be_best_starred():
    text = latex_table(sweep(), "average_accuracy")
    # By hand: t(.975, 4) is 2.776; memo 0.67380 and SD 0.00455, der 0.67260 and SD 0.00439.
    assert cells(text, "memo")[2] == r"$\textbf{67.4}^{\ast} \pm 0.6$"
    assert cells(text, "der")[2] == r"$\underline{67.3}^{\ast} \pm 0.5$"
    assert cells(text, "icarl")[0] == r"$\underline{51.2} \pm 1.3$"
    assert cells(text, "g-acil")[3] == r"$60.0 \pm 0.0$"
    found = markdown_table(sweep(), "average_accuracy")
    assert cells(found, "memo")[2] == r"**67.4**\* ± 0.6"
    assert cells(found, "der")[2] == r"_67.3_\* ± 0.5"


def test_alike_in_print_is_not_alike_unless_the_means_are_equal():
    near = frame(rows("a", [0.6701, 0.68, 0.69]), rows("b", [0.67, 0.68, 0.69]))
    assert [cells(latex_table(near, "average_accuracy"), name)[0] for name in "ab"] == [
        r"$\textbf{68.0}^{\ast} \pm 2.5$",
        r"$\underline{68.0}^{\ast} \pm 2.5$",
    ]
    equal = frame(rows("a", [0.67, 0.68, 0.69]), rows("b", [0.67, 0.68, 0.69]), rows("c", [0.1, 0.2, 0.3]))
    text = latex_table(equal, "average_accuracy")
    assert cells(text, "a") == cells(text, "b") == [r"$\textbf{68.0}^{\ast} \pm 2.5$"]
    assert r"\underline" in cells(text, "c")[0]


def test_references_stand_above_a_rule_and_are_never_marked():
    lines = latex_table(sweep(), "average_accuracy").splitlines()
    top, first, second, bottom = (
        lines.index(r"\toprule"),
        *[k for k, line in enumerate(lines) if line == r"\midrule"],
        lines.index(r"\bottomrule"),
    )
    assert lines[top + 1] == r" & 128 KiB & 256 KiB & 512 KiB & 1 MiB \\"
    assert [line.split(" & ")[0] for line in lines[first + 1 : second]] == ["finetune", "joint"]
    assert not any("bf" in line or "ast" in line for line in lines[first + 1 : second])
    assert [line.split(" & ")[0] for line in lines[second + 1 : bottom]] == ["icarl", "memo", "der", "g-acil"]
    assert "|" not in next(line for line in lines if "begin{tabular}" in line)


def test_impossible_is_two_dashes_and_failed_a_dagger():
    runs = frame(
        rows("good", [0.8, 0.82, 0.81]),
        rows("dead", [0, 0, 0], status="failed"),
        rows("big", [0, 0, 0], status="impossible"),
        [row("some", 0, 0.7), row("some", 1, 0.7), row("some", 2, 0, status="failed")],
    )
    text, plain = latex_table(runs, "average_accuracy"), markdown_table(runs, "average_accuracy")
    expected = [r"$\dagger$", "--", r"$\underline{70.0}^{\ast\dagger} \pm 0.0$"]
    assert [cells(text, name)[0] for name in ("dead", "big", "some")] == expected
    assert [cells(plain, name)[0] for name in ("dead", "big")] == ["†", "--"]
    assert r"--: impossible within the budget; $\dagger$: some or all runs failed" in caption(text)
    assert "over 2 to 3 seeds" in caption(text)


def test_the_caption_says_which_spread_how_many_seeds_and_whether_the_stream_is_fixed():
    fixed = sweep().assign(fingerprint="one")
    assert caption(latex_table(fixed, "average_accuracy")).startswith(
        r"Average accuracy. Mean and half-width of the 95\,\% t-interval over 5 seeds, in percent; policy full; "
        "stream fixed over seeds."
    )
    assert "Mean and standard error over 5 seeds" in latex_table(fixed, "average_accuracy", pm="se")
    text = markdown_table(sweep(), "average_accuracy", pm="sd")
    assert (
        "Mean and standard deviation over 5 seeds, in percent; policy full; stream drawn anew for every seed."
        in text
    )
    assert cells(text, "icarl")[0] == "_51.2_ ± 1.0"


def test_a_caption_says_that_the_stream_is_drawn_anew_only_where_its_class_order_is():
    one = markdown_table(sweep().assign(classes_fingerprint="order"), "average_accuracy")
    assert "; one class order, samples drawn anew for every seed." in one
    runs = sweep()
    anew = markdown_table(runs.assign(classes_fingerprint=runs["fingerprint"]), "average_accuracy")
    assert "; stream drawn anew for every seed." in anew


def test_a_spread_that_one_decimal_would_hide_gets_two_digits():
    runs = frame(rows("a", [0.5, 0.5001, 0.5]), rows("b", [0.4, 0.5, 0.6]), rows("c", [0.3, 0.3, 0.3]))
    text = latex_table(runs, "average_accuracy", pm="sd")
    assert cells(text, "a") == [r"$\textbf{50.0033}^{\ast} \pm 0.0058$"]
    assert cells(text, "c") == [r"$30.0 \pm 0.0$"]


def test_one_seed_has_no_spread_and_says_so():
    text = latex_table(frame([row("a", 0, 0.5), row("b", 0, 0.4)]), "average_accuracy")
    assert cells(text, "a") == [r"$\textbf{50.0}$"]
    assert "Mean over 1 seed, in percent" in caption(text)


def test_no_budget_is_a_column_and_budgets_that_print_alike_are_told_apart():
    runs = frame(
        rows("a", [0.5, 0.6], budget=float("nan")),
        rows("a", [0.5, 0.6], budget=2.0**20),
        rows("a", [0.5, 0.6], budget=2.0**20 + 8),
    )
    assert r" & 1,048,576 B & 1,048,584 B & no budget \\" in latex_table(runs, "average_accuracy")


def test_any_name_stays_in_its_cell():
    runs = frame(*(rows(name, [0.5 + k / 50, 0.6]) for k, name in enumerate(UGLY)))
    text, plain = latex_table(runs, "average_accuracy"), markdown_table(runs, "average_accuracy")
    lines = text.splitlines()
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert len(body) == len(UGLY)
    assert all(len(re.findall(r"(?<!\\)&", line)) == 1 for line in body)
    assert body[0].startswith(r"a\_b \& c & ")
    assert body[2].startswith(r"back\textbackslash{}slash & ")
    assert not any(line.startswith(("[", "*")) for line in body)  # the row before would swallow them
    table = [line for line in plain.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(UGLY)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in table)
    assert "<" not in plain


def test_the_table_compiles(tmp_path):
    if not shutil.which("pdflatex"):
        pytest.skip("no LaTeX is installed")
    booktabs = subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True, text=True).stdout.strip()
    rules = r"\usepackage{booktabs}" if booktabs else r"\let\toprule\hline\let\midrule\hline\let\bottomrule\hline"
    runs = frame(
        rows("finetune", [0.2, 0.2]),
        rows("big", [0, 0], status="impossible"),
        rows("dead", [0, 0], status="failed"),
        *(rows(name, [0.5 + k / 50, 0.6]) for k, name in enumerate(UGLY)),
    )
    document = [
        r"\documentclass{article}",
        r"\usepackage[T1]{fontenc}",
        rules,
        r"\begin{document}",
        latex_table(runs, "average_accuracy"),
        r"\end{document}",
    ]
    (tmp_path / "t.tex").write_text("\n".join(document), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]


LONG = "my_research_package.continual_methods:PrototypeReplayWithCosineHead width 32 temperature 0.5"


def wide(budgets, long=6):
    labels = [LONG.replace("0.5", f"0.{k}") for k in range(long)]
    labels += ["my_package.deep.module_without_end:" + "Extraordinarily" * 3, "memo", "icarl", "finetune"]
    return frame(
        *(
            rows(label, [0.5 + k / 50, 0.6 + k / 90, 0.71], budget=1024.0 * 2**b)
            for k, label in enumerate(labels)
            for b in range(budgets)
        )
    )


def test_long_names_are_cut_and_explained_below():
    text = latex_table(wide(5), "average_accuracy")
    body, key = text.split(r"\end{tabular}")
    assert "continual" not in body
    assert body.count("PrototypeRep (") == 6
    plain = key.replace(r"\allowbreak{}", "").replace("\\", "")
    for k in range(6):
        assert f"PrototypeRep ({k + 1}): {LONG.replace('0.5', f'0.{k}')}" in plain


@pytest.mark.parametrize("budgets", [1, 5, 8, 14])
def test_no_table_is_wider_than_the_text(budgets, tmp_path):
    if not shutil.which("pdflatex"):
        pytest.skip("no LaTeX is installed")
    booktabs = subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True, text=True).stdout.strip()
    rules = r"\usepackage{booktabs}" if booktabs else r"\let\toprule\hline\let\midrule\hline\let\bottomrule\hline"
    table = latex_table(wide(budgets), "average_accuracy")
    document = [r"\documentclass{article}", r"\usepackage[T1]{fontenc}", rules, r"\begin{document}", table]
    (tmp_path / "t.tex").write_text("\n".join([*document, r"\end{document}"]), encoding="utf-8")
    run = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


@pytest.mark.parametrize("budgets", [1, 5, 8, 14])
def test_every_budget_of_a_wide_table_is_there_once(budgets):
    lines = latex_table(wide(budgets), "average_accuracy").splitlines()
    heads = [line for before, line in pairwise(lines) if before == r"\toprule"]
    found = [name for line in heads for name in line.removesuffix(r" \\").split(" & ")[1:]]
    assert found == [f"{2**b} KiB" if b < 10 else f"{2 ** (b - 10)} MiB" for b in range(budgets)]
    assert len(heads) == (1 if budgets <= 5 else 2 if budgets <= 8 else 3)


@pytest.mark.parametrize(
    ("runs", "metric", "pm", "message"),
    [
        (sweep(), "accuracy", "ci", "no metric 'accuracy' in these runs; allowed: average_accuracy"),
        (sweep(), "average_accuracy", "iqr", "pm 'iqr'; allowed: ci, sd, se"),
        (sweep().iloc[:0], "average_accuracy", "ci", "the frame has no runs"),
        (frame(rows("a", [0.5]), rows("b", [0.5], policy="paper")), "average_accuracy", "ci", "several policies"),
        (
            frame(rows("a", [0.5], data="x"), rows("b", [0.5], data="y")),
            "average_accuracy",
            "ci",
            "several streams",
        ),
    ],
)
def test_what_no_table_can_show_is_refused_in_one_line(runs, metric, pm, message):
    for function in (latex_table, markdown_table):
        with pytest.raises(InputError, match=re.escape(message)) as caught:
            function(runs, metric, pm)
        assert "\n" not in str(caught.value)
