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
        self._pages: list[NDArray[np.int64]] = []
        self._classes: list[str | None] = []
        for label, members in _by_class(review, review.all_open()):
            for page in _cut(members, _groups_of(review, members), page_faces):
                self._pages.append(page)
                self._classes.append(label)
        self._page_of = np.full(review.places, -1, dtype=np.int32)
        for number, page in enumerate(self._pages):
            self._page_of[page] = number

    def __len__(self) -> int:
        return len(self._pages)

    def page_of(self, places: Sequence[int]) -> int | None:
        """The page of the first place. Places that are on none (they were decided before) get one of their own."""
        if not places:
            return None
        unknown = np.full(self._review.places - len(self._page_of), -1, dtype=np.int32)  # faces that were jumped to
        self._page_of = np.append(self._page_of, unknown)
        if self._page_of[places[0]] < 0:
            lonely = [place for place in places if self._page_of[place] < 0]
            self._page_of[lonely] = len(self._pages)
            self._pages.append(np.asarray(lonely, dtype=np.int64))
            self._classes.append(None)
        return int(self._page_of[places[0]])

    def places(self, number: int) -> list[int]:
        """The places of a page, in order."""
        return [int(place) for place in self._pages[number]]

    def open_pages(self, start: int, count: int) -> list[int]:
        """The first pages with something to decide, from page `start` on and then from the beginning."""
        found: list[int] = []
        for step in range(len(self)):
            number = (start + step) % len(self)
            if self._review.any_open(self._pages[number]):
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

    def _card(self, number: int) -> dict[str, Any]:
        review = self._review
        places = self.places(number)
        faces = [review.collection.face(review.row(place)) for place in places]
        pictures = [picture_or_grey(review, face.row) for face in faces]
        columns = min(_SHEET_COLUMNS, len(faces))
        return {
            "number": number,
            "suggestion": self._classes[number],
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


def _by_class(review: Review, places: NDArray[np.int64]) -> list[tuple[str | None, NDArray[np.int64]]]:
    """Places of one predicted class together, in the order of the label set, those without an opinion last.

    Faces that belong side by side are about each other, whatever the model takes them for: they stay as they are.
    """
    if review.blind or not len(places) or review.queue.groups is not None:
        return [(None, places)]
    suggested = review.collection.column("suggestion")[review.queue.rows[places]]
    parts: list[tuple[str | None, NDArray[np.int64]]] = [
        (label, places[suggested == label]) for label in review.collection.labels
    ]
    known = np.isin(places, np.concatenate([members for _, members in parts]))
    return [(label, members) for label, members in [*parts, (None, places[~known])] if len(members)]


def _groups_of(review: Review, places: NDArray[np.int64]) -> NDArray[np.int64] | None:
    return None if review.queue.groups is None else review.queue.groups[places]


def _cut(places: NDArray[np.int64], groups: NDArray[np.int64] | None, size: int) -> list[NDArray[np.int64]]:
    """Pages of at most `size` places, in order; a group goes to the next page whole where it fits on one."""
    if groups is None:
        return [places[start : start + size] for start in range(0, len(places), size)]
    starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
    pages: list[NDArray[np.int64]] = []
    page: list[int] = []
    for members in np.split(places, starts[1:]):
        if page and len(page) + len(members) > size:
            pages.append(np.asarray(page, dtype=np.int64))
            page = []
        for start in range(0, len(members), size):
            page = [*page, *members[start : start + size].tolist()]
            if len(page) >= size:
                pages.append(np.asarray(page[:size], dtype=np.int64))
                page = page[size:]
    return [*pages, np.asarray(page, dtype=np.int64)] if page else pages
