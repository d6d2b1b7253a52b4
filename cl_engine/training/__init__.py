"""Training by gradient descent: options, the one loop, what it charges."""

from cl_engine.training.loop import Training, fit

__all__ = ["Training", "fit"]
