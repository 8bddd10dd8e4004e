"""The occlusion and pose lists of the Region Attention Networks, as named slices of three datasets' test pictures.

Wang et al., "Region Attention Networks for Pose and Occlusion Robust Facial Expression Recognition", IEEE TIP 29,
2020, arXiv:1905.04075; the lists lie in github.com/kaiwang960112/Challenge-condition-FER-dataset and were read there:

    ferplus    FERplus_dir/jianfei_occlusion_list.txt    605 lines  `1_fer0034656.png 8 0`, CRLF
               FERplus_dir/pose_30_ferplus_list.txt    1,170 lines  `0/fer0032226.jpg`
               FERplus_dir/pose_45_ferplus_list.txt      633 lines  `0/fer0032226.jpg`
    rafdb      RAF_DB_dir/rafdb_occlusion_list.txt       735 lines  `test_0003_aligned 3 4`, CRLF
               RAF_DB_dir/val_raf_db_list.txt          1,247 lines  `0/test_0004_aligned.jpg`, pose over 30 degrees
               RAF_DB_dir/val_raf_db_list_45.txt         558 lines  `0/test_0004_aligned.jpg`
    affectnet  AffectNet_dir/occlusion_affectnet_list.txt  683 lines  `val/0/<hash>/`
               AffectNet_dir/pose_30_affectnet_list.txt  1,949 lines  `0/<hash>.jpg`
               AffectNet_dir/pose_45_affectnet_list.txt    985 lines  `7/<hash>/8.jpg`

The label numbers in them are the authors' own and are not read; nor is the last number of the occlusion lists, which
nothing explains.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from fer_data.downloads.opening import open_source
from fer_data.errors import FerError
from fer_data.samples import Rejection, Sample
from fer_data.sources import Source

Dataset = Literal["ferplus", "rafdb", "affectnet"]

FILES: Mapping[Dataset, Mapping[str, str]] = MappingProxyType(
    {
        "ferplus": {
            "ran_occlusion": "jianfei_occlusion_list.txt",
            "ran_pose30": "pose_30_ferplus_list.txt",
            "ran_pose45": "pose_45_ferplus_list.txt",
        },
        "rafdb": {
            "ran_occlusion": "rafdb_occlusion_list.txt",
            "ran_pose30": "val_raf_db_list.txt",
            "ran_pose45": "val_raf_db_list_45.txt",
        },
        "affectnet": {
            "ran_occlusion": "occlusion_affectnet_list.txt",
            "ran_pose30": "pose_30_affectnet_list.txt",
            "ran_pose45": "pose_45_affectnet_list.txt",
        },
    }
)
# What identifies a picture, in a list and in a download alike, whatever folder, number or ending stands around it.
_STEMS: Mapping[Dataset, re.Pattern[str]] = MappingProxyType(
    {
        "ferplus": re.compile(r"(?<![0-9a-z])fer\d{7}(?!\d)"),
        "rafdb": re.compile(r"(?<![0-9a-z])test_\d{4}(?!\d)"),
        "affectnet": re.compile(r"(?<![0-9a-z])[0-9a-f]{56}(?![0-9a-z])"),
    }
)


def marked(
    samples: Iterator[Sample], folder: Path, dataset: Dataset, notes: list[str], rejections: list[Rejection]
) -> Iterator[Sample]:
    """Pass samples on with the fact `slices` where a list names them; at their end note what was not there.

    A sample is found by the name of its file (`Sample.file`, else its key), whatever folder it lies in.

    Raises:
        FerError: as `read_slices`, before the first sample.
    """
    return _marked(samples, read_slices(folder, dataset, rejections), dataset, notes)


def read_slices(folder: Path, dataset: Dataset, rejections: list[Rejection]) -> Mapping[str, tuple[str, ...]]:
    """The slices of every listed picture, by its stem ("fer0032226", "test_0003", AffectNet's hash).

    Args:
        folder: the repository, one of its folders, or an archive of it.
        rejections: lines that name no picture, and lists that are missing, are added here.

    Raises:
        FerError: nothing there, none of the three lists, one of them twice, or one that is no text.
    """
    source = open_source(folder, [])  # what else lies in a clone is not read, and nothing to report
    found: dict[str, list[str]] = {}
    paths = {file: _only(source, file) for file in FILES[dataset].values()}
    if not any(paths.values()):
        raise FerError(
            f"{folder}: expected the RAN lists {', '.join(paths)}, found {source.shown()}; give the folder of "
            "github.com/kaiwang960112/Challenge-condition-FER-dataset"
        )
    for name, file in FILES[dataset].items():
        path = paths[file]
        if path is None:
            rejections.append(Rejection(f"{folder.name}/{file}", "a RAN list", "no such file", f"no {name} slice"))
            continue
        for number, line in enumerate(source.text(path).splitlines(), 1):
            stem = _stem(line, dataset)
            if stem is not None:
                slices = found.setdefault(stem, [])
                slices += [name] if name not in slices else []
            elif line.strip():
                rejections.append(
                    Rejection(
                        f"{source.where(path)} line {number}",
                        "the name of one test picture",
                        repr(line[:60]),
                        "the line was set aside",
                    )
                )
    return {stem: tuple(slices) for stem, slices in found.items()}


def _marked(
    samples: Iterator[Sample], slices: Mapping[str, tuple[str, ...]], dataset: Dataset, notes: list[str]
) -> Iterator[Sample]:
    seen: set[str] = set()
    for sample in samples:
        stem = _stem(sample.file or sample.key, dataset)
        if stem is not None and stem in slices:
            seen.add(stem)
            sample.facts["slices"] = list(slices[stem])
        yield sample
    absent = sorted(set(slices) - seen)
    if absent:
        notes.append(
            f"RAN lists: {len(absent):,} of {len(slices):,} listed pictures are not in this download "
            f"(first: {absent[0]})"
        )


def _stem(text: str, dataset: Dataset) -> str | None:
    """The picture that a line or a path names; None where it is none or several."""
    stems = set(_STEMS[dataset].findall(text))
    return stems.pop() if len(stems) == 1 else None


def _only(source: Source, file: str) -> str | None:
    bases = source.bases(file)
    if len(bases) > 1:
        raise FerError(
            f"{source.path}: expected {file} once, found it in {', '.join(base or 'the top' for base in bases)}; "
            "give the folder that holds one"
        )
    return bases[0] + file if bases else None
