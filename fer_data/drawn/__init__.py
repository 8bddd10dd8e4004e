"""Faces that the project draws itself, with exact truth: for tests, demos and simulations, never for findings.

No face data set may be shipped, so the embedded default is a parametric drawing. What is measured on it tells
whether the machinery works, not how it does on people.
"""
