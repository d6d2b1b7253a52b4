"""Regularisation: weights or outputs are held near what they were; no sample is stored."""
