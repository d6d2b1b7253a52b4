"""Recipes fill in what a scenario leaves open, and a result says where it departs from one."""

import dataclasses

import pytest

import cl_engine
from cl_engine.config.document import read
from cl_engine.config.keys import scenario_schema
from cl_engine.config.scenario import Scenario
from cl_engine.reports.text import summary
from cl_engine.scenarios.shipped import RECIPES, shipped
from cl_engine.sweeping.cells import sweep_of

IMAGES = {"data": "digits", "stream": {"step": 5}}
SHORT = {"epochs": 1, "first": None, "schedule": "constant", "augmentation": None, "normalise": "data"}
CHANGED = ["training.epochs", "training.schedule", "training.augmentation", "training.normalise", "training.first"]


@pytest.fixture(scope="module")
def data():
    """Digits in three channels, 32 x 32 pixels, as what recipes are made for."""
    digits = cl_engine.Scenario.load({"data": "digits", "strategy": "ncm"}).source.load()
    parts = []
    for part in (digits.train, digits.test):
        x = part.x[:200].repeat_interleave(4, 2).repeat_interleave(4, 3)
        parts.append(type(part)(x.expand(-1, 3, -1, -1).contiguous(), part.y[:200]))
    return cl_engine.DataSet(*parts)


# (epochs, weight decay, milestones), of the first experience and of later ones: Zhou et al., ICLR 2023, as released
PUBLISHED = {
    "memo": ("milestones", (200, 5e-4, [60, 120, 170]), (170, 2e-4, [80, 120, 150])),
    "memo-survey": ("cosine", (200, 5e-4, None), (170, 2e-4, None)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_recipes_of_memo_are_the_published_schedules(data, name):
    scenario = Scenario.load({"recipe": name, "data": data})
    schedule, *expected = PUBLISHED[name]
    for index, (epochs, weight_decay, milestones) in enumerate(expected):
        own = scenario.training.at(index)
        assert (own.epochs, own.weight_decay, own.milestones) == (epochs, weight_decay, milestones)
        assert (own.schedule, own.optimizer, own.lr, own.momentum, own.nesterov) == (
            schedule,
            "sgd",
            0.1,
            0.9,
            False,
        )
        assert (own.batch_size, own.augmentation) == (128, "cifar")
    assert scenario.strategy["kind"] == "memo"
    assert scenario.strategy["backbone"]["kind"] == "resnet32"


@pytest.mark.parametrize("name", shipped(RECIPES))
def test_a_recipe_says_how_a_strategy_learns_and_nothing_else(data, name):
    assert {*read(RECIPES / f"{name}.yaml").tree} == {"strategy", "training"}
    assert shipped(RECIPES)[name].endswith(".")
    scenario = Scenario.load({"recipe": name, "data": data})
    assert scenario.departures() == []


def test_what_a_scenario_says_stands_key_by_key(data):
    own = {"strategy": {"backbone": "convnet2"}, "training": {"lr": 0.5, "first": {"epochs": 3}}}
    scenario = Scenario.load({"recipe": "memo", "data": data, **own})
    assert scenario.strategy["kind"] == "memo"
    assert scenario.training.lr == 0.5
    assert scenario.training.first == {"epochs": 3, "weight_decay": 5e-4, "milestones": [60, 120, 170]}
    assert scenario.training.epochs == 170
    assert scenario.departures() == ["strategy.backbone", "training.lr", "training.first.epochs"]


def test_an_option_that_the_recipe_leaves_at_its_default_is_a_departure_too(data):
    own = {"strategy": {"cut": 1}, "training": {"label_smoothing": 0.1}}
    scenario = Scenario.load({"recipe": "memo", "data": data, **own})
    assert scenario.departures() == ["strategy.cut", "training.label_smoothing"]


@pytest.mark.parametrize("strategy", ["ncm", {"kind": "finetune", "backbone": "convnet2"}], ids=str)
def test_a_strategy_of_another_kind_takes_nothing_but_the_training(data, strategy):
    scenario = Scenario.load({"recipe": "memo", "data": data, "strategy": strategy})
    plain = Scenario.load({"data": data, "strategy": strategy})
    assert scenario.strategy == plain.strategy
    assert scenario.training.milestones == [80, 120, 150]
    assert scenario.departures() == ["strategy"]


def test_a_name_that_is_no_recipe_is_located_and_the_nearest_one_proposed(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("data: digits\nrecipe: memo-surveys\nstrategy: ncm\n")
    with pytest.raises(
        cl_engine.ConfigError,
        match=r"mine.yaml:2:9: recipe: there is no recipe 'memo-surveys', did you mean 'memo-survey'\?; allowed: memo,",
    ):
        Scenario.load(file)
    with pytest.raises(cl_engine.ConfigError, match="recipe: there is no recipe 3; allowed"):
        Scenario.load({**IMAGES, "recipe": 3, "strategy": "ncm"})


def test_a_value_of_the_recipe_that_does_not_fit_is_located_in_the_recipe():
    with pytest.raises(
        cl_engine.ConfigError, match=r"recipes/memo.yaml:\d+:\d+: training.*normalise: .* 1 channels"
    ):
        Scenario.load({**IMAGES, "recipe": "memo", "training": {"augmentation": None}})


@pytest.mark.parametrize(
    "own", [{"training": None}, {"training": {"first": "x"}}, {"strategy": {"backbone": None}}]
)
def test_a_fault_of_the_scenario_is_not_located_in_its_recipe(own):
    with pytest.raises(cl_engine.ConfigError, match=r"^scenario: (training|strategy)[^\n]*$"):
        Scenario.load({**IMAGES, "recipe": "memo", **own})
    with pytest.raises(cl_engine.ConfigError, match=r"^training=null: training: got null[^\n]*$"):
        Scenario.load({**IMAGES, "recipe": "memo"}, training=None)


def test_the_result_names_the_recipe_and_what_differs_and_so_does_its_configuration(tmp_path):
    scenario = {**IMAGES, "recipe": "memo-survey", "strategy": "ncm", "training": SHORT}
    record = cl_engine.run(scenario, out=tmp_path)
    found = record.to_dict()
    assert found["recipe"] == {"name": "memo-survey", "departures": ["strategy", *CHANGED]}
    assert found["config"]["recipe"] == "memo-survey"
    assert "recipe memo-survey, but for strategy, training.epochs," in summary(found)
    again = Scenario.load(record.directory / "config.yaml")
    assert again.id == found["id"]
    assert again.departures() == ["strategy", *CHANGED]


def test_without_a_recipe_a_scenario_is_the_run_it_always_was():
    scenario = Scenario.load({**IMAGES, "strategy": "ncm"})
    assert "recipe" not in scenario.to_dict()
    assert scenario.departures() is None
    assert cl_engine.run(scenario).to_dict()["recipe"] is None


def test_the_schema_takes_a_recipe_in_place_of_a_strategy_or_of_its_kind():
    jsonschema = pytest.importorskip("jsonschema", reason="needs the dev extra")
    fine = jsonschema.Draft202012Validator(scenario_schema()).is_valid
    assert fine({"data": "digits", "recipe": "memo"})
    assert fine({"data": "digits", "recipe": "memo", "strategy": {"backbone": "resnet14"}})
    assert fine({"data": "digits", "recipe": "memo", "strategy": {"kind": "replay", "total": 5}})
    assert fine({"data": "digits", "recipe": None, "strategy": "ncm"})
    assert not fine({"data": "digits", "recipe": "memos"})
    assert not fine({"data": "digits", "recipe": "memo", "strategy": {"kind": "replay", "totals": 5}})
    assert not fine({"data": "digits", "recipe": None})
    assert not fine({"data": "digits", "strategy": {"backbone": "resnet14"}})


def test_a_sweep_can_compare_recipes():
    training = {"augmentation": None, "normalise": "data"}
    sweep = {"recipe": ["memo", "memo-survey"]}
    cells = sweep_of({**IMAGES, "strategy": "ncm", "training": training, "sweep": sweep}).cells
    assert [cell.title for cell in cells] == ["recipe memo", "recipe memo-survey"]
    assert [cell.scenario.training.schedule for cell in cells] == ["milestones", "cosine"]
    assert dataclasses.asdict(cells[0].scenario.training)["first"]["epochs"] == 200
