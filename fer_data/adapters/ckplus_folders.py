"""CK+48: the last three frames of each labelled sequence, 48 px, in folders named after expressions.

Each file keeps the name of its frame, `S010_006_00000013.png`, and with it the person and the sequence.
"""

import re
from collections import defaultdict
from types import MappingProxyType

from fer_data.adapters.shared.counting import compared
from fer_data.adapters.shared.downloads import first_few, is_picture, note_passed_over
from fer_data.expressions import canonical, label_names
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

EXPECTED = MappingProxyType({"total": 981})  # 3 × 327
LABEL_SET = "basic8"
_FILE = re.compile(r"(?:.*/)?(?P<folder>[^/]+)/(?P<subject>S\d{3})_(?P<take>\d{3})_(?P<frame>\d{8})\.\w+")


def is_form(source: Source) -> bool:
    return any((match := _FILE.fullmatch(name)) and canonical(match["folder"], LABEL_SET) for name in source.names)


def read(source: Source, rejections: list[Rejection]) -> Reading:
    """Open the class folders, wherever in the source they lie."""
    samples = []
    expressions: dict[str, set[str]] = defaultdict(set)
    for name in source.names:
        if not is_picture(name):
            continue
        match = _FILE.fullmatch(name)
        label = canonical(match["folder"], LABEL_SET) if match else None
        if match is None or label is None:
            known = ", ".join(label_names(LABEL_SET))
            fault = (f"a name as happy/S010_006_00000013.png in a folder named after one of {known}", "another")
            rejections.append(Rejection(source.where(name), *fault, "the picture was set aside"))
            continue
        sequence = f"{match['subject']}_{match['take']}"
        expressions[sequence].add(label)
        facts = {"subject_id": match["subject"], "sequence_id": sequence, "frame": int(match["frame"])}
        samples.append(Sample(name, None, label, match["folder"], None, source.where(name), facts))
    notes = [
        "neighbouring frames of one sequence are nearly identical: split by group, which keeps a person together, "
        "never at random"
    ]
    torn = [sequence for sequence, labels in expressions.items() if len(labels) > 1]
    if torn:
        notes.append(f"{len(torn)} sequences lie under several expressions: {first_few(torn)}")
    note_passed_over([name for name in source.names if not is_picture(name)], "files that are no pictures", notes)
    return Reading(
        form="CK+48 folders",
        label_set=LABEL_SET,
        total_images=len(samples),
        samples=compared(iter(samples), EXPECTED, "CK+48", notes),
        source=source,
        notes=notes,
    )
