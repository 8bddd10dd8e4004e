"""What an experiment found, for a reader: `report.html`, the same as `report.json` and `report.md`.

contents, parts what results.json and report.json hold, as types
page            the order of the sections
differences, classes, cross_validation, curves, robustness, calibration, fairness, generated, face_sheets,
training, choice, appendix
                their sections, or why one is left out
budgets         which arms are points of a curve
wording, limits numbers in words, and what they do not show
marks, charts   what the sections are drawn with
markdown        the page for a repository
schema          the JSON schema of report.json, which lies beside it
"""

from experiments.report.page import write_report
from experiments.report.wording import answer

__all__ = ["answer", "write_report"]
