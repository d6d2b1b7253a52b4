"""Domain-incremental streams over the domains that the data itself has."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestCentroid

import cl_engine
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.data.samples import DataError, DataSet, Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.composition import compose
from cl_engine.scenarios.families.domain_incremental import domain_incremental
from cl_engine.scenarios.families.stored import store

TARGETS = np.arange(60) % 3
DOMAINS = np.repeat([9, 2, 4], 20)


def drifting(classes=3, per_class=30, domains=(7, 1, 30), seed=0):
    """Clouds that move from domain to domain, and end where another class began."""
    rng = np.random.default_rng(seed)

    def part(count):
        y = np.tile(np.arange(classes), count * len(domains))
        d = np.repeat(domains, classes * count)
        shift = np.argsort(np.argsort(domains)).repeat(classes * count) * 1.5
        x = rng.normal(size=(len(y), 4)) + np.eye(4)[y] * 4 + np.roll(np.eye(4)[y], 1, 1) * shift[:, None]
        order = rng.permutation(len(y))
        columns = {"domain": torch.from_numpy(d[order])}
        return Samples(torch.from_numpy(x[order].astype("f4")), torch.from_numpy(y[order]), columns)

    return DataSet(part(per_class), part(10))


def test_domains_arrive_in_ascending_order_and_every_sample_once():
    plan = domain_incremental(TARGETS, DOMAINS)
    assert [set(DOMAINS[plan.experience(t)]) for t in range(len(plan))] == [{2}, {4}, {9}]
    assert sorted(plan.indices) == list(range(60))
    assert plan.transforms == tuple({"kind": "domain", "domain": d} for d in (2, 4, 9))
    assert not plan.repeats


def test_what_is_asked_for_goes_before_what_the_data_has():
    assert len(domain_incremental(TARGETS, DOMAINS, transform="permutation")) == 5
    assert domain_incremental(TARGETS, None).fingerprint == domain_incremental(TARGETS).fingerprint
    assert domain_incremental(TARGETS, DOMAINS, experiences=3, transform="data").sizes.tolist() == [20, 20, 20]


def test_domains_that_are_not_there_are_said_to_be_missing():
    with pytest.raises(OptionError, match="transform: this data has no domains of its own; allowed"):
        domain_incremental(TARGETS, None, transform="data")
    with pytest.raises(OptionError, match="experiences: got 4, but the data has 3 domains; allowed: 3"):
        domain_incremental(TARGETS, DOMAINS, experiences=4)


def test_samples_thinned_out_keep_their_domains():
    plan = compose(TARGETS, domain_incremental, {}, {"imbalance": {"ratio": 0.2}}, 0, domains=DOMAINS)
    assert [set(DOMAINS[plan.experience(t)]) for t in range(len(plan))] == [{2}, {4}, {9}]
    assert len(plan.indices) < 60


@pytest.mark.parametrize("modifier", [{"sizes": {}}, {"drift": {}}], ids=str)
def test_no_sample_is_moved_to_another_domain(modifier):
    with pytest.raises(OptionError, match="the experiences are domains of the data"):
        compose(TARGETS, domain_incremental, {}, modifier, 0, domains=DOMAINS)


def matrix(data, order):
    """The accuracy on the exposed test samples of each domain, by scikit-learn's nearest centroid."""
    train, test = data.train.columns["domain"].numpy(), data.test.columns["domain"].numpy()
    rows = []
    for seen in range(1, len(order) + 1):
        known = np.isin(train, order[:seen])
        oracle = NearestCentroid().fit(data.train.x[known].numpy(), data.train.y[known].numpy())
        exposed = np.isin(data.test.y.numpy(), data.train.y[known].numpy())
        right = oracle.predict(data.test.x.numpy()) == data.test.y.numpy()
        rows.append([right[exposed & (test == d)].mean() if k < seen else None for k, d in enumerate(order)])
    return rows


def test_the_matrix_is_the_accuracy_on_the_test_samples_of_each_domain():
    data = drifting()
    record = cl_engine.run({"data": data, "stream": "domain-incremental", "strategy": "ncm"})
    expected = matrix(data, (1, 7, 30))
    assert record.accuracy["matrix"] == [pytest.approx(row) for row in expected]
    assert len({tuple(row) for row in expected}) == 3
    assert record.accuracy["seen"][-1] == pytest.approx(np.mean(expected[-1]))  # domains of one size
    assert record.to_dict()["stream"]["groups"] == "all classes, by the domain of an experience"


def test_a_class_that_is_not_exposed_yet_is_not_tested_in_any_domain():
    data = drifting(domains=(0, 1))
    late = (data.train.y == 2) & (data.train.columns["domain"] == 0)
    data = DataSet(data.train[~late], data.test)
    record = cl_engine.run({"data": data, "stream": "domain-incremental", "strategy": "ncm"})
    assert record.to_dict()["stream"]["experiences"][0]["classes"] in ([0, 1], [1, 0])
    assert record.accuracy["matrix"] == [pytest.approx(row) for row in matrix(data, (0, 1))]


def test_a_stream_is_told_by_either_name_and_recorded_as_one():
    data = drifting()
    made = [
        Scenario.load({"data": data, "stream": {"kind": "domain-incremental", **options}, "strategy": "ncm"})
        for options in ({}, {"domains": "data"}, {"transform": "data"}, {"experiences": 3})
    ]
    assert {m.id for m in made} == {made[0].id}
    plain = Scenario.load({"data": "digits", "stream": "domain-incremental", "strategy": "ncm"}).stream
    assert (plain["transform"], plain["experiences"]) == ("permutation", 5)


def test_other_streams_take_no_notice_of_domains():
    data = drifting()
    bare = DataSet(Samples(data.train.x, data.train.y), Samples(data.test.x, data.test.y))
    plans = [Scenario.load({"data": d, "stream": "data-incremental", "strategy": "ncm"}).plan for d in (data, bare)]
    assert plans[0].fingerprint == plans[1].fingerprint
    assert data.identity() != bare.identity()


def test_a_plan_of_domains_that_this_data_lacks_is_refused(tmp_path):
    data, path = drifting(), tmp_path / "plan.npz"
    scenario = {"data": data, "strategy": "ncm"}
    plan = Scenario.load({**scenario, "stream": "domain-incremental"}).plan
    store(plan, path)
    stored = {"kind": "plan", "path": str(path)}
    assert Scenario.load({**scenario, "stream": stored}).plan.fingerprint == plan.fingerprint
    bare = DataSet(Samples(data.train.x, data.train.y), Samples(data.test.x, data.test.y))
    with pytest.raises(ConfigError, match="no test sample of domain 1; allowed"):
        Scenario.load({"data": bare, "strategy": "ncm", "stream": stored})


def test_domains_that_do_not_fit_the_data_are_a_clear_error():
    data = drifting()
    with pytest.raises(DataError, match="only training or only test samples have domains"):
        DataSet(data.train, Samples(data.test.x, data.test.y))
    elsewhere = data.test.with_columns(domain=data.test.columns["domain"].clamp(max=7))
    with pytest.raises(DataError, match="domain 30 has training samples only"):
        DataSet(data.train, elsewhere)
    with pytest.raises(DataError, match=r"train: domain is float32 \[270\] beside 270 samples"):
        DataSet(data.train.with_columns(domain=data.train.columns["domain"].float()), data.test)
