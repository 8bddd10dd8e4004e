"""What was chosen on validation faces before a test face was judged."""

from collections.abc import Sequence

from experiments.report import marks, wording
from experiments.report.contents import Results
from experiments.report.marks import Missing
from experiments.report.parts import Candidate
from experiments.report.wording import METRIC_NAMES
from fer_data import pages
from fer_data.pages import Html, Section

TITLE = "What was chosen, and when"
LABELS = {"given": "given labels", "reference": "reference labels", "both": "the mean over given and reference labels"}


def choice(results: Results) -> Section | Missing:
    """Candidates with their validation scores, the chosen ones marked."""
    if results.choice is None:
        return Missing(TITLE, "nothing was chosen within this experiment; its configuration names the primary arm.")
    parts = [pages.paragraph(sentence(results))]
    for name, chosen, candidates in chosen_among(results):
        rows = [
            [
                marks.strong(results.titles.get(candidate.arm, candidate.arm), candidate.arm == chosen),
                wording.percent(candidate.score),
                " · ".join(wording.percent(score) for score in candidate.per_seed),
            ]
            for candidate in candidates
        ]
        parts.append(pages.heading(name))
        parts.append(pages.table(["", f"{METRIC_NAMES[results.choice.metric]}, %", "seed by seed"], rows))
    return Section(TITLE, Html("".join(parts)))


def sentence(results: Results) -> str:
    """When, on which faces, and by what."""
    made = results.choice
    if made is None:
        return ""
    return (
        f"Chosen on {made.validation_faces:,} validation faces without twins by {METRIC_NAMES[made.metric]} "
        f"({LABELS[made.labels]}), the best evaluation of every run, and written down on {made.written[:10]} at "
        f"{made.written[11:16]} UTC before any test face was judged. SHA-256 of what was asked: "
        f"{made.asked_sha256[:12]}…"
    )


def chosen_among(results: Results) -> list[tuple[str, str, Sequence[Candidate]]]:
    """What a choice is of, the chosen arm, and all that stood for it."""
    made = results.choice
    if made is None:
        return []
    found: list[tuple[str, str, Sequence[Candidate]]] = []
    if made.mixing is not None:
        best = max(made.mixing.candidates, key=lambda candidate: candidate.score)
        found.append(("Share and weight of generated faces", best.arm, made.mixing.candidates))
    if made.control is not None:
        found.append(("The strongest control", made.control.arm, made.control.candidates))
    if made.primary is not None:
        found.append(("The primary arm", made.primary.arm, made.primary.candidates))
    return found
