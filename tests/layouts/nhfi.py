"""NHFI as Kaggle gives it: eight class folders, contempt among them, "neutrality" for neutral."""

from layouts.cases import Case
from layouts.faces import face, jpeg, png

FOLDERS = {
    "anger": "anger",
    "contempt": "contempt",
    "disgust": "disgust",
    "fear": "fear",
    "happiness": "happiness",
    "neutrality": "neutral",
    "sadness": "sadness",
    "surprise": "surprise",
}


def write(folder):
    for number, (name, label) in enumerate(FOLDERS.items()):
        (folder / name).mkdir(parents=True)
        for copy in range(2):
            picture = face(label, 10 * number + copy, 40)
            data, ending = (jpeg(picture), "jpg") if copy else (png(picture), "PNG")
            (folder / name / f"{name} ({copy}).{ending}").write_bytes(data)
    return folder


CASES = {"class folders": Case("nhfi", write, 16, dict.fromkeys(FOLDERS.values(), 2))}
