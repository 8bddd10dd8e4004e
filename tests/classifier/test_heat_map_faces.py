import numpy as np

from classifier.heat_map_faces import explain_faces, overlay


class Corner:
    """Says that the upper left quarter spoke for the label, the more the higher the label's number."""

    def heat_maps(self, images, classes):
        maps = np.zeros((len(images), *images.shape[2:]), dtype=np.float32)
        maps[:, :4, :4] = (classes / 6)[:, None, None]
        return maps


def test_right_and_wrong_faces_of_every_class_are_explained_for_what_they_were_read_as():
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8), dtype=np.uint8)
    truth = np.array([0, 0, 0, 0, 2, 2, 2, 2, -1, -1, 2, 2])
    predicted = np.array([0, 0, 6, 6, 2, 2, 2, 2, 0, 2, 2, 2])
    found = explain_faces(Corner(), images, truth, predicted, count=3)
    assert [(one.label, one.right, len(one.rows)) for one in found] == [(0, True, 2), (0, False, 2), (2, True, 3)]
    wrong = found[1]
    assert wrong.rows.tolist() == [2, 3] and wrong.predicted.tolist() == [6, 6]
    assert np.array_equal(wrong.images[:, 0], images[[2, 3], 0])
    assert np.array_equal(found[0].overlaid, found[0].images)  # a map of 0 leaves a face as it is
    assert np.array_equal(wrong.overlaid[:, :, 4:], wrong.images[:, :, 4:])
    assert not np.array_equal(wrong.overlaid[:, :, :4, :4], wrong.images[:, :, :4, :4])


def test_the_draw_is_by_seed():
    images = np.zeros((40, 3, 8, 8), dtype=np.uint8)
    truth, predicted = np.zeros(40, dtype=int), np.zeros(40, dtype=int)
    one, same, other = (explain_faces(Corner(), images, truth, predicted, count=5, seed=s)[0].rows for s in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_the_paint_keeps_a_face_visible():
    grey = np.repeat(np.array([[[[40, 220]]]], dtype=np.uint8), 3, axis=1)
    painted = overlay(grey, np.ones((1, 1, 2), dtype=np.float32), (255, 0, 0))
    assert painted[0, 0].min() > painted[0, 1].min()  # red
    assert painted[0, 0, 0, 1] > painted[0, 0, 0, 0] + 30  # bright stays brighter than dark
