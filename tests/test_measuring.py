"""What a model is measured in, and how many of what."""

import pytest
import torch

from ddpm_lib import evaluation, measuring
from ddpm_lib.examples import Examples


def examples(labels):
    pixels = torch.arange(64, dtype=torch.uint8).repeat(30, 1).reshape(30, 1, 8, 8)
    return Examples(pixels, pixels[:4], labels)


def test_pictures_without_classes_have_no_features_unless_inceptions_are_given(monkeypatch):
    cpu = torch.device("cpu")
    assert measuring.features(examples(None), cpu) is None
    monkeypatch.setattr(evaluation, "inception", lambda path: path)
    assert measuring.features(examples(None), cpu, "file.pt") == "file.pt"
    assert measuring.features(examples(torch.arange(30) % 2), cpu, "file.pt") == "file.pt"


def test_the_features_of_pictures_with_classes_are_a_classifiers(monkeypatch):
    seen = {}

    def train(x, labels):
        seen.update(x=x, labels=labels)
        return evaluation.Classifier(1, 2)

    monkeypatch.setattr(evaluation, "train_classifier", train)
    labels = torch.arange(30) % 2
    found = measuring.features(examples(labels), torch.device("cpu"))
    assert found(seen["x"]).shape == (30, 64)
    assert torch.equal(seen["labels"], labels) and seen["x"].min() == -1
    monkeypatch.setattr(measuring, "ENOUGH", 10)
    measuring.features(examples(labels), torch.device("cpu"))
    assert len(seen["x"]) == len(seen["labels"]) == 10


def test_points_are_their_own_features():
    points = torch.randn(20, 2)
    found = measuring.features(Examples(points, points[:4], None), torch.device("cpu"))
    assert found(points) is points


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_that_is_no_program_is_refused(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"weights.pt is no TorchScript program"):
        evaluation.inception(tmp_path / "weights.pt")
