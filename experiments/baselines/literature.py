"""What others report for a kind of classifier on FER-2013. Splits, faces and training differ: a range, not a rival."""

from dataclasses import dataclass

_REVIEWS = "reviews of the field, quoted in this project's issue 7"
_ONE_STUDY = "a study of several kinds, quoted in this project's issue 7"
_ANOTHER_STUDY = "another study of several kinds, quoted in this project's issue 7"
_LONG_TRAINED = "WuJie1010/Facial-Expression-Recognition.Pytorch on GitHub, trained at length"


@dataclass(frozen=True)
class Reported:
    """A figure of the literature.

    Attributes:
        accuracy: percent, the lowest and the highest that is reported.
        source: who reports it.
    """

    accuracy: tuple[float, float]
    source: str

    def __str__(self) -> str:
        low, high = self.accuracy
        return f"{low:g}" if low == high else f"{low:g}–{high:g}"


_SVM = (
    Reported((62, 68), _REVIEWS),
    Reported((67.48, 67.48), "Ionescu, Popescu & Grozea, ICML 2013 workshop: local SVMs on words of dense SIFT"),
)

REPORTED: dict[str, tuple[Reported, ...]] = {
    "svm_hog": _SVM,
    "svm_lbp": _SVM,
    "mlp": (Reported((40.7, 40.7), _ONE_STUDY),),
    "lstm_rows": (Reported((39.8, 39.8), f"{_ONE_STUDY} (RNN)"),),
    "cnn3": (Reported((55.5, 55.5), _ONE_STUDY), Reported((57.2, 57.2), _ANOTHER_STUDY)),
    "vgg": (
        Reported((58.8, 58.8), _ANOTHER_STUDY),
        Reported((73.11, 73.11), f"{_LONG_TRAINED} (VGG-19)"),
        Reported((73.28, 73.28), "Khaireddin & Chen, arXiv:2105.03588, tuned at length"),
    ),
    "separable": (Reported((66, 66), "Arriaga et al., arXiv:1710.07557"),),
    "resnet18": (Reported((60.0, 60.0), _ANOTHER_STUDY), Reported((72.97, 72.97), _LONG_TRAINED)),
    "resnet34": (
        Reported((68.7, 68.7), f"{_ONE_STUDY}, pretrained"),
        Reported((72.42, 72.42), "Pham, Vu & Tran, ICPR 2020: phamquiluan/ResidualMaskingNetwork on GitHub"),
    ),
}
