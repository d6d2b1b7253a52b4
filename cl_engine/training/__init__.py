"""Training by gradient descent: the one loop, its optimizer, augmentation."""

from cl_engine.terms.training import Training
from cl_engine.training.augmentation import Augmentation, augment, views
from cl_engine.training.loop import DivergedError, fit

__all__ = ["Augmentation", "DivergedError", "Training", "augment", "fit", "views"]
