"""Nearest class mean against scikit-learn's NearestCentroid."""

import numpy as np
import torch
from sklearn.neighbors import NearestCentroid

from cl_engine.data.digits import Digits
from cl_engine.data.samples import Samples
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.prototypes.ncm import NCM
from cl_engine.terms.task import Task


def test_the_nearest_mean_is_that_of_nearest_centroid():
    data = Digits().load()
    task = Task(0, Exposure(tuple(range(10)), tuple(range(10)), 10), shape=(1, 8, 8))
    learner = NCM()
    learner.begin(task)
    learner.learn(task, data.train)
    centroid = NearestCentroid().fit(data.train.x.flatten(1).numpy() / 255, data.train.y.numpy())
    expected = centroid.predict(data.test.x.flatten(1).numpy() / 255)
    assert np.mean(learner.predict(data.test.x).argmax(1).numpy() == expected) > 0.999


def test_a_class_that_was_exposed_and_not_delivered_yet_is_not_predicted():
    task = Task(0, Exposure((0, 1, 2), (0, 1, 2), 3), shape=(2,))
    learner = NCM()
    learner.begin(task)
    learner.learn(task, Samples(torch.tensor([[5.0, 5.0], [6.0, 6.0]]), torch.tensor([0, 2])))
    near_zero = torch.tensor([[0.1, 0.0]])  # where the mean of no samples would stand
    assert learner.predict(near_zero).argmax(1).tolist() == [0]
