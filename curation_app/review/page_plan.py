"""Pages of faces: which faces make a page, and what the browser is sent of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation_app import cards
from curation_app.collection import Face
from curation_app.review.session import Review
from curation_app.review.window import picture_or_grey, small_px

_FACE_PX = 96
_SHEET_COLUMNS = 8


class PagePlan:
    """The open faces of a queue cut into pages, once: what is on a page stays there, decided or not.

    A page holds faces of one predicted class where there is an opinion and the reviewer may know it, so that a key
    that is right for most is right for the page; groups that belong side by side are not torn apart.
    """

    def __init__(self, review: Review, page_faces: int) -> None:
        self._review = review
        self._labels: list[str | None] = [*review.collection.labels, None]
        places, ranks = _by_class(review, review.all_open())
        groups = review.queue.groups
        counts = np.bincount(ranks)
        sizes = _even_sizes(counts, page_faces) if groups is None else _whole_sizes(groups[places], page_faces)
        self._places = places  # page after page
        self._starts = np.cumsum([0, *sizes])
        self._page_of = np.full(review.places, -1, dtype=np.int32)
        self._page_of[places] = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        self._ranks = ranks[self._starts[:-1]]

    def __len__(self) -> int:
        return len(self._ranks)

    def page_of(self, places: Sequence[int]) -> int | None:
        """The page of the first place. Places that are on none (they were decided before) get one of their own."""
        if not places:
            return None
        unknown = np.full(self._review.places - len(self._page_of), -1, dtype=np.int32)  # faces that were jumped to
        self._page_of = np.append(self._page_of, unknown)
        if self._page_of[places[0]] < 0:
            lonely = [place for place in places if self._page_of[place] < 0]
            self._page_of[lonely] = len(self)
            self._places = np.append(self._places, lonely)
            self._starts = np.append(self._starts, len(self._places))
            self._ranks = np.append(self._ranks, np.int16(len(self._labels) - 1))
        return int(self._page_of[places[0]])

    def places(self, number: int) -> list[int]:
        """The places of a page, in order."""
        return [int(place) for place in self._on(number)]

    def open_pages(self, start: int, count: int) -> list[int]:
        """The first pages with something to decide, from page `start` on and then from the beginning."""
        found: list[int] = []
        for step in range(len(self)):
            number = (start + step) % len(self)
            if self._review.any_open(self._on(number)):
                found.append(number)
                if len(found) == count:
                    break
        return found

    def window(self, at: int | None, held: Sequence[int]) -> dict[str, Any]:
        """The page on the screen, the next and the one before, as far as the browser does not hold them."""
        ahead = [number for number in self.open_pages(0 if at is None else at + 1, 2) if number != at]
        wanted = ([] if at is None else [at]) + ahead + ([at - 1] if at else []) + ([at + 1] if at is not None else [])
        wanted = [number for number in dict.fromkeys(wanted) if number < len(self)]
        missing = [number for number in wanted if number not in set(held)]
        return {
            "ahead": ahead,
            "keep": wanted,
            "count": len(self),
            "pages": {str(number): self._card(number) for number in missing[:1]},
            "more": len(missing) > 1,
        }

    def _on(self, number: int) -> NDArray[np.int64]:
        return self._places[self._starts[number] : self._starts[number + 1]]

    def _card(self, number: int) -> dict[str, Any]:
        review = self._review
        places = self.places(number)
        faces = [review.collection.face(review.row(place)) for place in places]
        pictures = [picture_or_grey(review, face.row) for face in faces]
        columns = min(_SHEET_COLUMNS, len(faces))
        return {
            "number": number,
            "suggestion": self._labels[self._ranks[number]],
            "sheet": cards.data_uri(cards.sheet(pictures, columns, small_px(pictures, _FACE_PX))),
            "columns": columns,
            "faces": [_cell(review, place, face) for place, face in zip(places, faces, strict=True)],
        }


def _cell(review: Review, place: int, face: Face) -> dict[str, Any]:
    cell: dict[str, Any] = {"place": place, "row": face.row, "pixel_sha256": face.pixel_sha256}
    if review.blind:
        return cell
    known = {"id": face.sample_id, "label": face.label, "suggestion": face.suggestion}
    side = {} if review.queue.groups is None else {"split": face.split}  # which of the copies lies in the test?
    return {**cell, **known, **side}


def _by_class(review: Review, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """Places of one predicted class together, in the order of the label set, those without an opinion last.

    Faces that belong side by side are about each other, whatever the model takes them for: they stay as they are.

    Returns:
        places: int64 [M], reordered.
        ranks: int16 [M], the class of each by its place in the label set, the number of labels where there is none.
    """
    labels = review.collection.labels
    if review.blind or review.queue.groups is not None:
        return places, np.full(len(places), len(labels), dtype=np.int16)
    codes, words = review.collection.codes("suggestion")
    ranks_of_words = [labels.index(word) if word in labels else len(labels) for word in words]
    rank_of = np.array([*ranks_of_words, len(labels)], dtype=np.int16)  # code -1 is the last
    ranks = rank_of[codes[review.queue.rows[places]]]
    order = np.argsort(ranks, kind="stable")
    return places[order], ranks[order]


def _even_sizes(counts: NDArray[np.int64], size: int) -> list[int]:
    """How many faces each page holds where a page holds `size` of one class, the last one of a class the rest."""
    sizes: list[int] = []
    for count in counts.tolist():
        sizes += [size] * (count // size) + [count % size] * (count % size > 0)
    return sizes


def _whole_sizes(groups: NDArray[np.int64], size: int) -> list[int]:
    """How many faces each page holds, at most `size`; a group goes to the next page whole where it fits on one."""
    starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
    sizes: list[int] = []
    held = 0
    for members in np.diff(starts, append=len(groups)).tolist():
        if held and held + members > size:
            sizes.append(held)
            held = 0
        full, held = divmod(held + members, size)
        sizes += [size] * full
    return sizes + [held] * (held > 0)
