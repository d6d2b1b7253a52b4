"""Regularisation: weights or outputs are held near what they were."""
