"""Do generated faces help a classifier? Two questions, each with its real-trained control beside it.

classification_accuracy_score   trained on synthetic faces only, tested on real ones
compare_conditions              occlusion and light learned by the generator, or put on afterwards
run_usefulness                  both, as a configuration asks: `results.json` and a page of tables
"""

from experiments.usefulness.accuracy_score import classification_accuracy_score
from experiments.usefulness.condition_arms import compare_conditions
from experiments.usefulness.design import TrialConfig, UsefulnessConfig
from experiments.usefulness.run import run_usefulness

__all__ = [
    "TrialConfig",
    "UsefulnessConfig",
    "classification_accuracy_score",
    "compare_conditions",
    "run_usefulness",
]
