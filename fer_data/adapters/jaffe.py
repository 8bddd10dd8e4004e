"""JAFFE: 213 pictures of ten women, `KA.AN1.39.tiff` = person, expression and take, number; and the raters' scores.

The scores stand in the README: per picture the mean of 60 raters for six expressions, from 1 to 5, in a table

    # HAP SAD SUR ANG DIS FEA PIC
    1 2.87 2.52 2.10 1.97 1.97 2.06 KM-NE1

followed by a second one of a study without the fear pictures, which is not read.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from fer_data.adapters.shared.counting import compared
from fer_data.adapters.shared.downloads import file_name, first_few, is_picture, note_passed_over, open_download
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "jaffe"
TITLE = "JAFFE"
LICENCE = Licence(
    "JAFFE terms of use",
    "non-commercial scientific research only, and every publication must cite the source of the pictures",
    url="https://zenodo.org/record/3451524",
)
CITATION = (
    "Lyons, Akamatsu, Kamachi & Gyoba, Coding Facial Expressions with Gabor Wavelets, 3rd IEEE International "
    "Conference on Automatic Face and Gesture Recognition, 1998, pp. 200-205"
)
HOMEPAGE = "https://zenodo.org/record/3451524"
ACCESS = "https://zenodo.org/record/3451524, restricted: read the instructions there before asking"
EXPECTED = MappingProxyType({"total": 213})
UNVERIFIED = (
    "The README itself was not read, but what public readers quote of it: the head and a row of the first table, the "
    "title of the second, and that some rated pictures are not in the download.",
)
KNOWN_DEFECTS = (
    "Labels are the expressions that were posed, whatever the raters saw: compare `ratings`.",
    "Ten persons: a split by picture leaks persons.",
)
LABEL_SET = "basic7"
PERSONS = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
GENDER = "female"  # of all persons
EXPRESSIONS = MappingProxyType(
    {
        "AN": "anger",
        "DI": "disgust",
        "FE": "fear",
        "HA": "happiness",
        "NE": "neutral",
        "SA": "sadness",
        "SU": "surprise",
    }
)
RATED = ("happiness", "sadness", "surprise", "anger", "disgust", "fear")  # in the order of the table's columns
# Pictures are spelled KA.AN1.39.tiff or KA-AN1.39.tiff, converted ones KA.AN1.39.png or KA.AN1.39.tiff.bmp.
_FILE = re.compile(
    rf"(?P<person>{'|'.join(PERSONS)})[.-](?P<shown>{'|'.join(EXPRESSIONS)})(?P<take>\d)([.-]\d+)?(\.tiff?)?\.[a-z]+",
    re.IGNORECASE,
)
_README = re.compile(r"(A_)?README_FIRST\.txt", re.IGNORECASE)
_TABLE = re.compile(r"#?\s*HAP\s+SAD\s+SUR\s+ANG\s+DIS\s+FEA\s+PIC\s*")
_OTHER_TABLE = re.compile(r".*Fear Excluded.*|#?\s*HAP\s+SAD\s+SUR\s+ANG\s+DIS\s+PIC\s*", re.IGNORECASE)
_ASIDE = "the picture was set aside"
_UNRATED = "the ratings were left out"

Ratings = dict[str, dict[str, float]]


class Options(Configuration):
    """How to read a JAFFE download."""

    ratings: Path | None = None  # the README with the raters' scores, where it does not lie among the pictures


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive of JAFFE's pictures; the README is found among them or given.

    Raises:
        FerError: no path, nothing there, no picture with a name of JAFFE's, several READMEs, or `ratings` names no
            file with the table.
    """
    source = open_download(root, TITLE, rejections)
    pictures = _pictures(source, rejections)
    if not pictures:
        raise FerError(
            f"{root}: expected pictures named as KA.AN1.39.tiff, found {source.shown()}; "
            f"give the folder or archive of {TITLE}"
        )
    notes: list[str] = []
    readmes = [name for name in source.names if _README.fullmatch(file_name(name))]
    ratings = _ratings(source, readmes, options.ratings, rejections, notes)
    if ratings:
        _note_unmatched(ratings, {code for code, _ in pictures.values()}, notes)
    others = [name for name in source.names if not is_picture(name) and name not in readmes]
    note_passed_over(others, "files that are no pictures", notes)
    samples = (_sample(name, code, label, ratings, source) for name, (code, label) in pictures.items())
    return Reading(
        form="pictures",
        label_set=LABEL_SET,
        total_images=len(pictures),
        samples=compared(samples, EXPECTED, TITLE, notes),
        source=source,
        notes=notes,
    )


def parse_ratings(text: str, where: str, rejections: list[Rejection]) -> Ratings | None:
    """The first table of the README.

    Returns:
        "KM-NE1" → expression → mean score 1..5; None where there is no such table. Faulty rows are rejected.
    """
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines) if _TABLE.fullmatch(line.strip())]
    if not heads:
        return None
    ratings: Ratings = {}
    for number, line in enumerate(lines[heads[0] + 1 :], heads[0] + 2):
        if _OTHER_TABLE.fullmatch(line.strip()):
            break
        fields = line.split()
        if not fields or not fields[0][0].isdigit():  # rules and blank lines around the rows
            continue
        scores = _scores(fields)
        picture = fields[-1].upper()
        if scores is None:
            fault = ("a number, six scores 1 to 5 and a name as KM-NE1", repr(line.strip()[:60]))
        elif picture in ratings:
            fault = (f"{picture} once", "it again")
        else:
            ratings[picture] = dict(zip(RATED, scores, strict=True))
            continue
        rejections.append(Rejection(f"{where} line {number}", *fault, _UNRATED))
    return ratings


def _scores(fields: list[str]) -> list[float] | None:
    if len(fields) != 2 + len(RATED):
        return None
    try:
        scores = [float(field) for field in fields[1:-1]]
    except ValueError:
        return None
    return scores if all(1 <= score <= 5 for score in scores) else None


def _pictures(source: Source, rejections: list[Rejection]) -> dict[str, tuple[str, str]]:
    """File → ("KM-NE1", label) of every picture whose name tells both; others, and second copies, are rejected."""
    found: dict[str, tuple[str, str]] = {}
    first: dict[str, str] = {}
    for name in source.names:
        if not is_picture(name):
            continue
        match = _FILE.fullmatch(file_name(name))
        if match is None:
            fault = ("a name as KA.AN1.39.tiff", "one that tells no person and expression")
            rejections.append(Rejection(source.where(name), *fault, _ASIDE))
            continue
        shown = match["shown"].upper()
        code = f"{match['person'].upper()}-{shown}{match['take']}"
        if first.setdefault(code, name) != name:
            rejections.append(Rejection(source.where(name), f"{code} once", f"it again, after {first[code]}", _ASIDE))
        else:
            found[name] = (code, EXPRESSIONS[shown])
    return found


def _ratings(
    source: Source, readmes: list[str], given: Path | None, rejections: list[Rejection], notes: list[str]
) -> Ratings:
    """The scores of the README that was given, or of the one that lies among the pictures."""
    if given is not None:
        try:
            text = given.read_bytes().decode("latin-1")  # the table is ASCII, whatever the prose around it is
        except OSError as error:
            raise FerError(f"{given}: cannot be read ({error.strerror}); check the path") from None
        ratings = parse_ratings(text, given.name, rejections)
        if ratings is None:
            raise FerError(
                f"{given}: expected the table HAP SAD SUR ANG DIS FEA PIC, found none; give {TITLE}'s README_FIRST.txt"
            )
        return ratings
    if len(readmes) > 1:
        raise FerError(
            f"{source.path}: expected one README_FIRST.txt, found {', '.join(readmes)}; choose with --set ratings=…"
        )
    if not readmes:
        notes.append("no README_FIRST.txt lies among the pictures: the raters' scores are missing (--set ratings=…)")
        return {}
    where = source.where(readmes[0])
    found = parse_ratings(source.read(readmes[0]).decode("latin-1"), where, rejections)
    if found is None:
        rejections.append(Rejection(where, "the table HAP SAD SUR ANG DIS FEA PIC", "none", _UNRATED))
    return found or {}


def _note_unmatched(ratings: Mapping[str, object], pictures: Collection[str], notes: list[str]) -> None:
    unrated = set(pictures) - set(ratings)
    if unrated:
        notes.append(f"{len(unrated)} pictures have no ratings: {first_few(unrated)}")
    missing = set(ratings) - set(pictures)
    if missing:
        notes.append(f"{len(missing)} rated pictures are not in the download: {first_few(missing)}")


def _sample(name: str, code: str, label: str, ratings: Ratings, source: Source) -> Sample:
    facts: dict[str, object] = {"subject_id": code[:2], "gender": GENDER}
    if code in ratings:
        facts["ratings"] = ratings[code]
    return Sample(name, None, label, code[3:5], None, source.where(name), facts)
