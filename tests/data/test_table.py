"""Tables: CSV and Parquet, against pandas' own reading, and one clear line about every wrong cell."""

import numpy as np
import pandas as pd
import pytest
import torch

import cl_engine
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.data.samples import DataError
from cl_engine.data.table_files import Csv, Parquet

RNG = np.random.default_rng(0)


def frame(rows=12):
    return pd.DataFrame(
        {
            "a": RNG.normal(size=rows),
            "label": np.resize(["owl", "ant", "NA"], rows),
            "b": RNG.integers(0, 9, rows),
            "site": np.repeat([4, 2], rows // 2),
        }
    )


def csv(path, table):
    table.to_csv(path, index=False)
    return Csv


def parquet(path, table):
    pytest.importorskip("pyarrow", reason="needs the parquet extra")
    table.to_parquet(path, index=False)
    return Parquet


@pytest.mark.parametrize("write", [csv, parquet])
def test_columns_become_features_labels_and_domains(tmp_path, write):
    table = frame()
    kind = write(tmp_path / "t", table)
    data = kind(path=str(tmp_path / "t"), domain="site", test_share=0.5).load()
    assert data.classes == ("NA", "ant", "owl")
    both = torch.cat([data.train.x, data.test.x]).numpy()
    key = np.argsort(both[:, 0])
    expected = table.sort_values("a")
    assert both[key] == pytest.approx(expected[["a", "b"]].to_numpy())
    labels = torch.cat([data.train.y, data.test.y]).numpy()[key]
    assert [data.classes[label] for label in labels] == expected["label"].tolist()
    domains = np.concatenate([data.labels().train_domains, data.labels().test_domains])[key]
    assert domains.tolist() == expected["site"].tolist()
    assert len(data.test) == 6


@pytest.mark.parametrize("labels", [[7, -1, 40], ["7", "-1", "40"], [7.0, -1.0, 40.0]], ids=str)
@pytest.mark.parametrize("write", [csv, parquet])
def test_whole_numbers_keep_their_value(tmp_path, labels, write):
    kind = write(tmp_path / "t", frame().assign(label=labels * 4))
    data = kind(path=str(tmp_path / "t")).load()
    assert set(data.train.y.tolist()) == {7, -1, 40}
    assert data.classes is None


def test_test_rows_come_from_another_table_or_a_column(tmp_path):
    table = frame()
    table["part"] = ["train", "test"] * 6
    table["label"] = np.repeat(["owl", "ant", "NA"], 4)
    csv(tmp_path / "all.csv", table)
    csv(tmp_path / "train.csv", table[::2].drop(columns="part"))
    csv(tmp_path / "test.csv", table[1::2].drop(columns="part")[["b", "label", "site", "a"]])
    column = Csv(path=str(tmp_path / "all.csv"), split="part")
    files = Csv(path=str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"))
    assert column.identity() == files.identity()
    assert column.load().train.x[:, 0].numpy() == pytest.approx(table["a"].to_numpy()[::2])


def test_only_columns_that_are_named_are_used(tmp_path):
    table = frame().assign(text="words")
    csv(tmp_path / "t.csv", table)
    assert Csv(path=str(tmp_path / "t.csv"), features=["b"]).load().train.x.shape[1] == 1


HEAD = "label,x,z\n"
GOOD = "0,1,2\n1,3,4\n" * 4


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is no table|cannot be read|holds no row|no column"),
        (HEAD, "holds no row"),
        ("label\n0\n1\n", "has no column beside label"),
        (HEAD + GOOD + "0,,2\n", "column 'x', row 9 holds nothing; allowed: finite numbers"),
        (HEAD + GOOD + "0,nan,2\n", "column 'x', row 9 holds "),
        (HEAD + GOOD + "0,5,inf\n", "column 'z', row 9 holds inf"),
        (HEAD + GOOD + "0,5,1e300\n", r"column 'z', row 9 holds 1e\+300"),
        (HEAD + GOOD + "0,5,cat\n" + GOOD, "column 'z', row 9 holds 'cat'; allowed: finite numbers, or name"),
        (HEAD + GOOD + "0,'1,2'\n", "holds \"'1\""),
        (HEAD + GOOD + ",5,6\n", "column 'label', row 9 holds nothing"),
        (HEAD + GOOD + "0.5,5,6\n", "column 'label', row 9 holds '0.5'; allowed: integers that fit int64"),
        (HEAD + GOOD + "99999999999999999999,5,6\n", "column 'label', row 9 holds"),
        (HEAD + GOOD + "1e400,5,6\n", "column 'label', row 9 holds"),
        (HEAD + GOOD + "0,5\n", r"^row 9 \(line 10\) of t.csv has 2 columns, its header 3; allowed: .* as many commas"),
        (HEAD + GOOD + "\n  \n0\n", r"^row 9 \(line 12\) of t.csv has 1 column, its header 3; allowed"),
        ("x,z,label\n1,2,a\n1,a\n", r"^row 2 \(line 3\) of t.csv has 2 columns, its header 3; allowed"),
        (HEAD + GOOD + "0,5,6,7\n", r"^row 9 \(line 10\) of t.csv has 4 columns, its header 3; allowed"),
        (HEAD + "0,1,2,9\n1,3,4,9\n" * 4, r"^row 1 \(line 2\) of t.csv has 4 columns, its header 3; allowed"),
        ("label,x,x\n" + GOOD, "column 'x' stands twice in the header"),
        (",label,x\n" + GOOD, "column 1 has no name in the header"),
        ("lable,x,z\n" + GOOD, "no column 'label', did you mean 'lable'"),
        ("label;x;z\n0;1;2\n", "no column 'label'"),
        (HEAD + "0,1,2\n", "no class has two samples"),
        ('label,x,z\n0,"1,2\n', "cannot be read as .csv|column"),
        (HEAD + GOOD + "\0\0\0", "row 9|cannot be read"),
    ],
)  # fmt: skip
def test_every_wrong_cell_is_one_line_with_its_column_and_row(tmp_path, text, complaint):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=complaint) as raised:
        Csv(path=str(tmp_path / "t.csv")).labels()
    assert "allowed" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", bytes(range(256)), b"PAR1 and no more"])
@pytest.mark.parametrize("kind", [Csv, Parquet])
def test_what_is_no_table_is_one_clear_line(tmp_path, kind, content):
    if kind is Parquet:
        pytest.importorskip("pyarrow", reason="needs the parquet extra")
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(DataError, match="allowed") as raised:
        kind(path=str(tmp_path / "t")).labels()
    assert "\n" not in str(raised.value)


def test_a_wrong_cell_of_the_test_table_is_told_apart(tmp_path):
    (tmp_path / "a.csv").write_text(HEAD + GOOD)
    (tmp_path / "b.csv").write_text(HEAD + "0,1,2\n1,oops,3\n")
    with pytest.raises(DataError, match="test table: column 'x', row 2 holds 'oops'"):
        Csv(path=str(tmp_path / "a.csv"), test=str(tmp_path / "b.csv")).labels()
    (tmp_path / "b.csv").write_text("label,x\n0,1\n1,3\n")
    with pytest.raises(DataError, match="test table: there is no column 'z'"):
        Csv(path=str(tmp_path / "a.csv"), test=str(tmp_path / "b.csv")).labels()
    (tmp_path / "a.csv").write_text("label,x\nant,1\nowl,3\n")
    (tmp_path / "b.csv").write_text("label,x\nant,1\nemu,3\n")
    with pytest.raises(DataError, match="test label 'emu' never occurs in training"):
        Csv(path=str(tmp_path / "a.csv"), test=str(tmp_path / "b.csv")).labels()


@pytest.mark.parametrize(
    ("part", "complaint"),
    [("valid", "row 1 holds 'valid'; allowed: train or test"), ("test", "says 'test' in every row")],
)
def test_a_split_that_is_none_is_a_clear_error(tmp_path, part, complaint):
    csv(tmp_path / "t.csv", frame().assign(part=part))
    with pytest.raises(DataError, match=complaint):
        Csv(path=str(tmp_path / "t.csv"), split="part").labels()


def test_missing_values_and_other_types_in_parquet_are_clear_errors(tmp_path):
    for column, values, complaint in (
        ("b", [1, None] * 6, "column 'b', row 2 holds nan"),
        ("b", [[1, 2]] * 12, "column 'b', row 1 holds"),
        ("b", pd.date_range("2020", periods=12), "column 'b', row 1 holds Timestamp"),
        ("label", ["ant", None] * 6, "column 'label', row 2 holds nothing"),
    ):
        parquet(tmp_path / "t", frame().assign(**{column: values}))
        with pytest.raises(DataError, match=complaint):
            Parquet(path=str(tmp_path / "t")).labels()


def test_options_that_contradict_each_other_are_refused(tmp_path):
    csv(tmp_path / "t.csv", frame())
    path = str(tmp_path / "t.csv")
    for options, complaint in (
        ({"test": path, "split": "site"}, "split: a table of test samples is named too"),
        ({"features": ["a", "label"]}, "features: column 'label' is asked for twice"),
        ({"features": ["a", "a"]}, "features: column 'a' is asked for twice"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            Scenario.load(
                {"data": {"kind": "csv", "path": path, **options}, "stream": "data-incremental", "strategy": "ncm"}
            )


def test_a_table_with_domains_runs_as_a_domain_incremental_stream(tmp_path):
    table = frame(60).assign(site=np.repeat(["rome", "oslo", "bern"], 20))
    csv(tmp_path / "t.csv", table)
    data = {"kind": "csv", "path": str(tmp_path / "t.csv"), "domain": "site", "standardise": True}
    record = cl_engine.run({"data": data, "stream": "domain-incremental", "strategy": "ncm"})
    assert len(record.accuracy["matrix"]) == 3
    assert record.to_dict()["config"]["stream"]["transform"] == "data"
