"""From drawn faces to the audit with a real classifier: planted label noise rises to the top."""

import pytest
from sklearn.metrics import roc_auc_score

from classifier.out_of_fold import PredictConfig, predict_out_of_fold
from classifier.training import TrainConfig
from fer_data import label_audit, tables
from fer_data.adapters import procedural
from fer_data.importing import import_dataset


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_planted_noise_is_found_far_above_chance(project):
    options = procedural.Options(count=2000, seed=5, classes="balanced", label_noise=0.15, occlusions={}, lights={})
    faces = import_dataset(procedural, None, project / "manifests/m", options).manifest
    train = TrainConfig(model="thin_resnet10", size_px=32, epochs=16, batch_size=64, evaluations=1)
    config = PredictConfig(folds=3, train=train)
    predictions = predict_out_of_fold(faces, config, project / "p.parquet", project / "run")
    audit = label_audit.audit(faces, predictions, label_audit.AuditConfig(), project / "a.parquet")
    ranked = tables.read_table(audit)[0].to_pandas().sort_values("rank")
    truth = faces.facts(["true_label"])["true_label"].set_axis(faces.frame["sample_id"])
    wrong = truth.loc[ranked["sample_id"]].to_numpy() != ranked["given_label"].to_numpy()
    top = len(wrong) // 10
    assert 0.1 < wrong.mean() < 0.25
    assert wrong[:top].mean() > 2 * wrong.mean()
    assert roc_auc_score(wrong, -ranked["label_score"]) > 0.7
