"""The memory-aligned tables of the MEMO paper, number by number."""

import json

import pytest

from cl_engine.cli.app import _status
from cl_engine.memory.alignment.memo_tables import TABLES, exchange_rates, memo_tables, rows

CIFAR_CURVE, IMAGENET_CURVE, CIFAR_DER, IMAGENET_DER, IMAGENET1000_DER = TABLES

# table, position, experiences, exemplars of (single, der-expandable, memo)
EXEMPLARS = [
    (CIFAR_CURVE, 0, 10, (2000, 2096, 2118)),
    (CIFAR_CURVE, 1, 10, (3634, 2000, 2495)),
    (CIFAR_CURVE, 2, 10, (4900, 2000, 2768)),
    (CIFAR_CURVE, 3, 10, (6165, 2000, 3040)),
    (CIFAR_CURVE, 4, 10, (7431, 2000, 3312)),
    (IMAGENET_CURVE, 0, 11, (2000, 2032, 2115)),
    (IMAGENET_CURVE, 1, 11, (3136, 2000, 2327)),
    (IMAGENET_CURVE, 2, 11, (4969, 2000, 2739)),
    (IMAGENET_CURVE, 3, 11, (5779, 2000, 2915)),
    (IMAGENET_CURVE, 4, 11, (7924, 2000, 4171)),
    (IMAGENET_CURVE, 5, 11, (8574, 2000, 4270)),
    (CIFAR_DER, 0, 20, (13466, 2000, 4771)),
    (CIFAR_DER, 1, 10, (7431, 2000, 3312)),
    (CIFAR_DER, 2, 11, (8035, 2000, 3458)),
    (CIFAR_DER, 3, 6, (5017, 2000, 2729)),
    (CIFAR_DER, 4, 5, (4414, 2000, 2583)),
    (CIFAR_DER, 5, 3, (3207, 2000, 2291)),
    (CIFAR_DER, 6, 2, (2603, 2000, 2145)),
    (IMAGENET_DER, 0, 11, (4969, 2000, 2739)),
    (IMAGENET_DER, 1, 10, (4672, 2000, 2665)),
    (IMAGENET1000_DER, 0, 10, (22672, 20000, 20665)),
]

# table, position, parameters of DER and of MEMO as printed (millions cut or rounded), total MiB
PARAMETERS = [
    (CIFAR_CURVE, 0, 0.38976e6, 0.37248e6, 7.627),
    (CIFAR_CURVE, 1, 1.71856e6, 1.33768e6, 12.41),
    (CIFAR_CURVE, 2, 2.69e6, 2.10075e6, 16.12),
    (CIFAR_CURVE, 3, 3.66e6, 2.86382e6, 19.83),
    (CIFAR_CURVE, 4, 4.635e6, 3.62690e6, 23.54),
    (IMAGENET_CURVE, 0, 9.96e6, 6.81e6, 329.7),
    (IMAGENET_CURVE, 1, 53.96e6, 41.63e6, 493),
    (IMAGENET_CURVE, 2, 122.9e6, 95.11e6, 756.1),
    (IMAGENET_CURVE, 3, 153.4e6, 119.0e6, 872.3),
    (IMAGENET_CURVE, 4, 234.1e6, 152.4e6, 1180.2),
    (IMAGENET_CURVE, 5, 258.6e6, 173.2e6, 1273.5),
    (CIFAR_DER, 0, 9.27e6, 7_141_776, 41.22),
    (CIFAR_DER, 1, 4.635e6, 3_626_896, 23.5386),
    (CIFAR_DER, 2, 5.1e6, 3_978_384, 25.3),
    (CIFAR_DER, 3, 2.78e6, 2_220_944, 16.466),
    (CIFAR_DER, 4, 5 * 463_504, 1_869_456, 14.70),
    (CIFAR_DER, 5, 3 * 463_504, 112_016 + 3 * 351_488, 11.16),
    (CIFAR_DER, 6, 2 * 463_504, 814_992, 9.394),
    (IMAGENET_DER, 0, 122.94e6, 95_113_792, 756.1),
    (IMAGENET_DER, 1, 111.765e6, 86.72e6, 713.4),
    (IMAGENET1000_DER, 0, 111.76e6, 86.72e6, 3297.4),
]


def exemplars(setting):
    return tuple(row.held.exemplars for row in rows(setting))


@pytest.mark.parametrize(("table", "position", "experiences", "expected"), EXEMPLARS)
def test_every_number_of_exemplars(table, position, experiences, expected):
    setting = TABLES[table][position]
    assert setting.experiences == experiences
    assert exemplars(setting) == expected


@pytest.mark.parametrize(("table", "position", "der", "memo", "mib"), PARAMETERS)
def test_every_model_and_total(table, position, der, memo, mib):
    single_row, der_row, memo_row = rows(TABLES[table][position])
    assert single_row.held.parameters == (463_504 if "CIFAR" in table else 11_176_512)
    assert der_row.held.parameters == pytest.approx(der, rel=2e-3)
    assert memo_row.held.parameters == pytest.approx(memo, rel=2e-3)
    for row in (single_row, der_row, memo_row):
        assert row.held.bytes / 2**20 == pytest.approx(mib, rel=5e-4)


def test_exact_parameters():
    found = {t: [[r.held.parameters for r in rows(s)[1:]] for s in settings] for t, settings in TABLES.items()}
    assert found[CIFAR_CURVE] == [
        [389_760, 372_480], [1_718_560, 1_337_680], [2_690_720, 2_100_752], [3_662_880, 2_863_824],
        [4_635_040, 3_626_896],
    ]  # fmt: skip
    assert found[CIFAR_DER][0] == [9_270_080, 7_141_776]
    assert found[IMAGENET_DER][0] == [122_941_632, 95_113_792]


def test_exact_totals_of_the_cifar_curve():
    totals = [[round(r.held.bytes / 2**20, 4) for r in rows(s)] for s in TABLES[CIFAR_CURVE]]
    assert totals[0] == [7.6275, 7.6274, 7.6260]
    assert totals[4][0] == 23.5386


def test_the_nominal_sizes_are_those_of_the_arithmetic_within_one_percent():
    for settings in TABLES.values():
        for setting in settings:
            if setting.nominal is not None:
                assert rows(setting)[1].held.bytes / 2**20 == pytest.approx(setting.nominal, rel=0.01)


def test_entries_that_are_printed_differently_stand_beside_ours():
    marked = [
        (title, row.setting.stream, row.setting.backbone, p.method, p.value, row.held._asdict()[p.column])
        for title, table in memo_tables().items()
        for row in table
        for p in row.printed
    ]
    assert marked == [
        (CIFAR_CURVE, "Base0 Inc10", "resnet26", "der-expandable", 3_600_000, 3_662_880),
        (IMAGENET_CURVE, "Base50 Inc5", "resnet18", "single", 4_970, 4_969),
        (IMAGENET_CURVE, "Base50 Inc5", "resnet34", "memo", 4_170, 4_171),
        (IMAGENET_DER, "Base50 Inc5", "resnet18", "single", 4_970, 4_969),
        (IMAGENET_DER, "Base0 Inc10", "resnet18", "single", 4_671, 4_672),
        (IMAGENET_DER, "Base0 Inc10", "resnet18", "memo", 2_652, 2_665),
        (IMAGENET1000_DER, "Base0 Inc100", "resnet18", "memo", 20_666, 20_665),
    ]


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["cl-engine", *arguments])
    return (_status(), *capsys.readouterr())


# data set, backbone, whole exemplars
RATES = [
    ("CIFAR-100", "convnet2", 50),
    ("CIFAR-100", "resnet14", 223),
    ("CIFAR-100", "resnet20", 350),
    ("CIFAR-100", "resnet26", 476),
    ("CIFAR-100", "resnet32", 603),
    ("ImageNet-100", "convnet4", 24),
    ("ImageNet-100", "resnet10", 130),
    ("ImageNet-100", "resnet18", 296),
    ("ImageNet-100", "resnet26-bottleneck", 370),
    ("ImageNet-100", "resnet34", 565),
    ("ImageNet-100", "resnet50", 624),
]


def test_a_model_is_worth_603_exemplars_and_every_other_backbone_its_own_number():
    assert [(rate.images.name, rate.backbone, rate.exemplars) for rate in exchange_rates()] == RATES
    for rate in exchange_rates():
        image = {"CIFAR-100": 3 * 32 * 32, "ImageNet-100": 3 * 224 * 224}[rate.images.name]
        assert rate.exemplars * image <= 4 * rate.parameters < (rate.exemplars + 1) * image


def test_the_command_begins_with_the_exchange_rates(monkeypatch, capsys):
    _, out, _ = command(monkeypatch, capsys, "budget", "--table", "memo")
    first = [line.split() for line in out.partition("\n\n")[0].splitlines()]
    assert first[6] == ["CIFAR-100", "3x32x32", "resnet32", "463,504", "1.85", "1.77", "603"]
    assert [(line[0], line[2]) for line in first[2:]] == [(data, backbone) for data, backbone, _ in RATES]


def test_the_command_prints_every_row(monkeypatch, capsys):
    status, out, _ = command(monkeypatch, capsys, "budget", "--table", "memo")
    assert status == 0
    found = [line.split() for line in out.splitlines()]
    assert ["Base0", "Inc10", "23.5", "single", "resnet32", "7,431", "21.77", "463,504", "1.77", "23.54"] in found
    assert "4,969  713.32   11,176,512   42.64     755.96  paper prints 4,970 exemplars" in out
    assert sum(line[:1] in (["Base0"], ["Base50"]) for line in found) == 3 * len(EXEMPLARS)


def test_the_command_as_json(monkeypatch, capsys):
    status, out, _ = command(monkeypatch, capsys, "budget", "--table", "memo", "--json")
    assert status == 0
    found = json.loads(out)
    assert [table["title"] for table in found["tables"]] == list(TABLES)
    assert found["exchange"][4] == {
        "data": "CIFAR-100", "shape": [3, 32, 32], "backbone": "resnet32", "parameters": 463_504,
        "bytes": 1_854_016, "exemplars": 603,
    }  # fmt: skip
    assert len(found["exchange"]) == len(RATES)
    row = found["tables"][1]["rows"][6]
    assert row == {
        "data": "ImageNet-100", "first": 50, "step": 5, "experiences": 11, "nominal_mib": 755,
        "method": "single", "backbone": "resnet18", "exemplars": 4969, "exemplar_bytes": 4969 * 150_528,
        "parameters": 11_176_512, "model_bytes": 44_706_048, "bytes": 4969 * 150_528 + 44_706_048,
        "printed": [{"column": "exemplars", "value": 4970, "source": "paper"}],
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [(), ("--table", "derr")])
def test_a_wrong_table_is_one_line(monkeypatch, capsys, arguments):
    status, out, err = command(monkeypatch, capsys, "budget", *arguments)
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert "memo" in err
