"""FER-2013 in the forms that people download."""

import fer2013_forms as forms
from layouts.cases import Case

WORDS = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
EVEN_80 = {name: 12 if position < 3 else 11 for position, name in enumerate(forms.CSV_ORDER)}


def csv(folder):
    return forms.write_lines(folder / "fer2013.csv", forms.csv_lines()).parent


def csv_with_votes(folder):
    forms.write_lines(folder / "fer2013new.csv", forms.votes_lines())
    return csv(folder)


def icml(folder):
    lines = forms.csv_lines(order="emotion, Usage, pixels")
    return forms.write_lines(folder / "icml_face_data.csv", lines).parent


def parquet(folder):
    codes = [row % 7 for row in range(28)]
    forms.write_parquet(folder / "train-00000-of-00001.parquet", forms.ALPHABETICAL, codes)
    forms.write_parquet(folder / "test-00000-of-00001.parquet", forms.ALPHABETICAL, codes)
    return folder


CASES = {
    "csv": Case("fer2013", csv, 80, EVEN_80),
    "csv with votes": Case("fer2013", csv_with_votes, 80, EVEN_80, lambda folder: {"votes": folder / "fer2013new.csv"}),
    "icml csv": Case("fer2013", icml, 80, EVEN_80),
    "class folders": Case(
        "fer2013", forms.write_folders, 28, dict.fromkeys([WORDS.get(name, name) for name in forms.ALPHABETICAL], 4)
    ),
    "FER+ folders": Case("fer2013", forms.write_ferplus, 30, {None: 30}),
    "parquet": Case("fer2013", parquet, 56, dict.fromkeys(forms.CSV_ORDER, 8)),
}
