"""CleanVision's checks on a folder of pictures, for benchmarks/quality.py; run by a Python that has it.

    python quality.py FOLDER

As its README runs it (github.com/cleanlab/cleanvision, version 0.3.7): `Imagelab(data_path=…).find_issues()`, with its
own thresholds, on the issues that single pictures have. Prints JSON: issue -> flags in the order of the file names.
"""

import contextlib
import json
import sys

from cleanvision import Imagelab

ISSUES = ("dark", "light", "low_information", "blurry")

if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        lab = Imagelab(data_path=sys.argv[1])
        lab.find_issues({issue: {} for issue in ISSUES}, n_jobs=1, verbose=False)
    issues = lab.issues.sort_index()
    print(json.dumps({issue: [bool(flag) for flag in issues[f"is_{issue}_issue"]] for issue in ISSUES}))
