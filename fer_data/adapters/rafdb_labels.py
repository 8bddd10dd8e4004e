"""What RAF-DB's numbers mean, the same in all forms in which people have it."""

import re
from types import MappingProxyType

# yaoing/DAN rafdb.py (there from 0, after subtracting 1), and many readers like it.
BASIC = MappingProxyType(
    dict(enumerate(("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"), start=1))
)
# Li & Deng, IEEE TIP 2019; public readers of the compound list number the same names in the same order.
COMPOUND = MappingProxyType(
    dict(
        enumerate(
            (
                "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised",
                "sadly disgusted", "fearfully angry", "fearfully surprised", "angrily surprised",
                "angrily disgusted", "disgustedly surprised",
            ),
            start=1,
        )
    )
)  # fmt: skip
FILE = re.compile(r"(?P<stem>(?P<split>train|test)_\d+)(?P<aligned>_aligned)?\.[a-z]+", re.IGNORECASE)
EXPECTED = MappingProxyType({"total": 15_339, "train": 12_271, "test": 3_068})
EXPECTED_COMPOUND = MappingProxyType({"total": 3_954, "train": 3_162, "test": 792})
