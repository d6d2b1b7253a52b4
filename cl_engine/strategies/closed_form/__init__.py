"""Closed-form learners: sums over samples, and one solve."""
