"""What sources allow: combined, inherited by generated faces, and refused in one sentence that names the way round."""

import json

import pandas as pd
import pytest
from export_faces import noise, write_faces

from fer_data import licenses, manifest
from fer_data.errors import FerError
from fer_data.export.exporting import export
from fer_data.export.permissions import permission, refuse_forbidden
from fer_data.export.registry import EXPORTS
from fer_data.licenses import DRAWN, FER2013, FERPLUS, PERMISSIONS, UNKNOWN, combine, user_stated
from fer_data.manifest import Manifest
from fer_data.samples import Sample

BY = user_stated("CC-BY-4.0", ["redistribute", "commercial"], "https://creativecommons.org/licenses/by/4.0/")


def some(count=3, split="train"):
    return [Sample(f"{index}", noise(index), "fear", None, split, "") for index in range(count)]


def together(project, *parts, footer):
    frame = pd.concat([part.frame for part in parts], ignore_index=True)
    path = project / "manifests" / "together"
    return manifest.write(frame, path, label_set="basic7", command="test", licence=footer.as_dict(), replace=True)


@pytest.fixture
def real(project) -> Manifest:
    return write_faces(project, some(), name="fer2013", source="fer2013", licence=FER2013.as_dict())


def generated(project, name, licence, generation, **more):
    return write_faces(
        project, some(4), name=name, source=name, licence=licence, generation=generation, origin="synthetic",
        label_origin="generated", **more,
    )  # fmt: skip


def test_the_flags_of_the_known_sources():
    assert not FER2013.redistribute and not FER2013.models_public and FER2013.derivatives
    assert FERPLUS.redistribute and FERPLUS.commercial
    assert not any(getattr(UNKNOWN, flag) for flag in PERMISSIONS)
    assert BY.redistribute and BY.commercial and not BY.derivatives and not BY.models_public and BY.url
    with pytest.raises(FerError, match="licence mine: expected permissions among redistribute.*found 'sell'"):
        user_stated("mine", ["sell"])


def test_the_strictest_of_several_and_each_source_once():
    pair = combine([DRAWN.as_dict(), BY.as_dict()])
    assert pair["name"] == "Apache-2.0 + CC-BY-4.0" and pair["redistribute"] and not pair["derivatives"]
    every = combine([pair, DRAWN.as_dict(), FER2013.as_dict(), pair])
    assert every["name"] == "Apache-2.0 + CC-BY-4.0 + no owner licence known"
    assert [part["name"] for part in every["parts"]] == every["name"].split(" + ")
    assert not any(every[flag] for flag in ("redistribute", "models_public", "commercial"))
    assert combine([DRAWN.as_dict()]) == DRAWN.as_dict() and combine([]) == UNKNOWN.as_dict()
    # Two statements under one name: what either refuses is refused.
    twins = combine([user_stated("mine", ["redistribute"]).as_dict(), user_stated("mine", []).as_dict()])
    assert twins["name"] == "mine" and not twins["redistribute"]
    # An older store says less; what it does not say is refused.
    assert not combine([{"name": "old", "summary": "old", "redistribute": True}, DRAWN.as_dict()])["commercial"]


@pytest.mark.parametrize("to", EXPORTS)
def test_pictures_that_may_not_be_passed_on_are_refused_and_the_override_is_told_inside(project, real, to):
    options = EXPORTS[to].Options()
    with pytest.raises(FerError) as refused:
        export(real, to, project / "out", options)
    assert str(refused.value) == (
        "fer2013.parquet: FER-2013's pictures may not be redistributed (images and models trained on them may not be "
        "redistributed); for use on this machine only, add --local-use"
    )
    assert not (project / "out").exists()
    result = export(real, to, project / "out", options, local_use=True)
    assert result.local_use
    sentence = "FOR USE ON THE MACHINE WHERE IT WAS MADE ONLY"
    for name in ("README.md", "LICENCE.txt", "croissant.json"):
        assert sentence in (result.folder / name).read_text(), name
    assert (result.folder / "LICENCE.txt").read_text().startswith(sentence)
    facts = json.loads((result.folder / "provenance.json").read_text())
    assert facts["local_use"] is True and facts["licence"]["redistribute"] is False and len(facts["forbids"]) == 1
    assert "Goodfellow" in facts["citations"][0]
    header = (result.folder / "README.md").read_text().split("---")[1]
    assert "license: other" in header and "not-for-redistribution" in header


def test_local_use_says_nothing_where_everything_is_allowed(project):
    result = export(write_faces(project, some()), "csv", project / "out", EXPORTS["csv"].Options(), local_use=True)
    assert not result.local_use and "MACHINE" not in (result.folder / "LICENCE.txt").read_text()


def test_only_the_stores_of_the_rows_and_the_footer_count(project, real):
    drawn = write_faces(project, some(), source="drawn")
    mixed = together(project, drawn, real, footer=DRAWN)
    assert permission(mixed).forbids and not permission(mixed).licence["redistribute"]
    only_drawn = together(project, drawn, footer=DRAWN)
    found = permission(only_drawn)
    assert found.forbids == () and found.licence == DRAWN.as_dict()
    strict = together(project, drawn, footer=FER2013)
    assert permission(strict).forbids == (
        "the manifest's licence does not allow redistribution (images and models trained on them may not be "
        "redistributed)",
    )
    refuse_forbidden(strict, permission(strict), local_use=True)


def test_generated_faces_inherit_the_licence_of_the_training_data(project, real):
    trained_on = {"id": "g1", "manifest_sha256": real.sha256}
    inherited = generated(project, "synthetic-1", FER2013.as_dict(), trained_on)
    with pytest.raises(FerError, match="the 4 generated faces of stores/synthetic-1-.* inherit the licence of their"):
        refuse_forbidden(inherited, permission(inherited), local_use=False)
    free = generated(project, "synthetic-2", DRAWN.as_dict(), {"id": "g2", "manifest_sha256": "0" * 64})
    assert permission(free).forbids == ()


def test_a_store_that_claims_more_than_its_generators_training_data_is_held_to_them(project, real):
    parents = {"manifests/fer2013.parquet": real.sha256}
    trained_on = {"id": "g", "manifest_sha256": real.sha256}
    washed = generated(project, "synthetic", DRAWN.as_dict(), trained_on, parents=parents)
    found = permission(washed)
    assert len(found.forbids) == 1 and "inherit" in found.forbids[0]
    assert found.licence["name"] == "Apache-2.0 + no owner licence known"


@pytest.mark.parametrize("generation", [None, {"id": "g", "seen": "seen.parquet"}])
def test_generated_faces_that_name_no_training_data_are_forbidden_and_that_is_said(project, generation):
    faces = generated(project, "synthetic", DRAWN.as_dict(), generation)
    found = permission(faces)
    assert "name no training data whose licence they could inherit (nobody has said" in found.forbids[0]
    assert not any(found.licence[flag] for flag in PERMISSIONS)


def test_a_licence_that_is_silent_on_a_permission_allows_nothing(project):
    faces = write_faces(project, some(), licence={"name": "old", "summary": "old", "redistribute": True})
    assert permission(faces).forbids and permission(faces).licence["name"] == "unknown"


def test_the_licence_file_names_every_part_and_where_its_terms_stand(project):
    mine = user_stated("CC-BY-4.0", ["redistribute"], "https://creativecommons.org/licenses/by/4.0/")
    faces = write_faces(project, some(), licence=mine.as_dict(), footer=combine([mine.as_dict(), DRAWN.as_dict()]))
    folder = export(faces, "hf", project / "out", EXPORTS["hf"].Options()).folder
    text = (folder / "LICENCE.txt").read_text()
    assert "Apache-2.0: drawn by this tool" in text and "https://creativecommons.org/licenses/by/4.0/" in text
    assert "redistribute    yes" in text and "commercial      no" in text
    header = (folder / "README.md").read_text().split("---")[1]
    assert "license_name: Apache-2.0 + CC-BY-4.0" in header
    assert {"CC-BY-4.0", "MIT", "Apache-2.0"} <= licenses.SPDX
