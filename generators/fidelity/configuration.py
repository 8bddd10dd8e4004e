"""How fidelity is measured."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fer_data.configuration import Configuration

Count = Annotated[int, Field(ge=1)]


class FidelityConfig(Configuration):
    """How fidelity is measured."""

    held_out: Literal["val", "test"] = "val"  # whose real faces stand in for synthetic ones, as the reference
    # Pictures are brought to this size for judges and embeddings; null: what was drawn or what real faces are stored
    # at, whichever is smaller.
    size_px: Annotated[int, Field(ge=16)] | None = None
    faces: Annotated[int, Field(ge=10)] = 2000  # at most so many of each side are compared in a group
    fewest: Annotated[int, Field(ge=10)] = 30  # groups with fewer faces on a side get no distances
    k: Count = 5  # nearest neighbours of precision, recall, density and coverage
    subset_size: Annotated[int, Field(ge=2)] = 100  # of KID over subsets; at most the smallest class
    subsets: Count = 100
    candidates: Count = 8  # training faces that the copy detector lays upon a face, plain and mirrored each
    false_copies: Annotated[float, Field(gt=0, lt=1)] = 0.01  # share of real held-out faces that it may flag
    near_duplicate: Annotated[float, Field(ge=0.7, le=1)] = 0.95  # similarity of one photograph, as `fer duplicates`
    per_condition: bool = True  # also per (occlusion, light) and per cell
    lit_faces: Annotated[int, Field(ge=0)] = 4000  # real faces whose light is measured where nothing states it
    altered_faces: Count = 400  # real faces that are brought under a condition that too few of them show
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _enough_neighbours(self) -> "FidelityConfig":
        if self.k >= self.fewest:
            raise ValueError("k must be less than fewest: a group of so few faces has no k neighbours")
        return self
