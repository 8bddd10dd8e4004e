"""The other side of benchmarks/audit_scale.py: cleanlab's own functions and its Datalab on the same probabilities.

    python cleanlab_scale.py LABELS.npy PROBABILITIES.npy --method functions|datalab

As cleanlab's documentation has it (docs.cleanlab.ai, version 2.9): the three `get_label_quality_scores`,
`estimate_joint` and `find_label_issues`, all with their own settings; or `Datalab(data, label_name).find_issues` with
the label check alone. Arrays are loaded and libraries imported before the clock starts. Prints one JSON object.
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from measuring import peak_gb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("probabilities", type=Path)
    parser.add_argument("--method", choices=["functions", "datalab"], default="functions")
    arguments = parser.parse_args()
    labels, probabilities = np.load(arguments.labels), np.load(arguments.probabilities)
    with contextlib.redirect_stdout(sys.stderr):
        seconds = (functions if arguments.method == "functions" else datalab)(labels, probabilities)
    print(json.dumps({"seconds": seconds, "peak_gb": peak_gb()}))


def functions(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Seconds of each function, and of all."""
    from cleanlab.count import estimate_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    start = time.perf_counter()
    for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
        get_label_quality_scores(labels, probabilities, method=method)
    scored = time.perf_counter()
    estimate_joint(labels, probabilities)
    estimated = time.perf_counter()
    find_label_issues(labels, probabilities, n_jobs=1)
    end = time.perf_counter()
    return {"scores": scored - start, "joint": estimated - scored, "marks": end - estimated, "all": end - start}


def datalab(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Seconds of the label check."""
    from cleanlab import Datalab

    start = time.perf_counter()
    lab = Datalab({"label": labels}, label_name="label", verbosity=0)
    lab.find_issues(pred_probs=probabilities, issue_types={"label": {}})
    return {"all": time.perf_counter() - start}


if __name__ == "__main__":
    main()
