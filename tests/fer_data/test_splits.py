import pytest

from fer_data.errors import FerError
from fer_data.splits import stratified_subset


def test_a_subset_keeps_the_shares_and_the_rare_cells(noise_manifest):
    labels = ["anger"] * 40 + ["fear"] * 20 + ["disgust"]
    splits = ["train", "test"] * 30 + ["train"]
    source = noise_manifest(labels, splits)
    subset = stratified_subset(source, "manifests/small", count=15, seed=0)
    assert subset.frame.groupby(["split", "label"]).size().to_dict() == {
        ("test", "anger"): 5,
        ("test", "fear"): 2,
        ("train", "anger"): 5,
        ("train", "disgust"): 1,
        ("train", "fear"): 2,
    }
    again = stratified_subset(source, "manifests/again", count=15, seed=0)
    assert again.frame.equals(subset.frame)
    assert subset.metadata["parents"] == {"manifests/noise.parquet": source.sha256}
    assert len(stratified_subset(source, "manifests/all", count=999, seed=0)) == len(source)


def test_a_subset_of_nothing_is_refused(noise_manifest):
    with pytest.raises(FerError, match="expected a positive count, found 0"):
        stratified_subset(noise_manifest(["anger"], ["train"]), "manifests/none", count=0, seed=0)
