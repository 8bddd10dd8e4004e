"""A small project with an audit and synthetic faces."""

import sqlite3
from contextlib import closing, contextmanager

import numpy as np
import pyarrow as pa
import pytest
from chromium import LOOK_MS, chromium, free_port, new_page, wait_for_face
from curated_project import add_tables, make_project

from curation_app import launch
from curation_app.collection import Collection
from curation_app.settings import Settings
from fer_data import licenses, manifest, tables
from fer_data.decision_log import DecisionLog
from fer_data.expressions import BASIC7
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter

REAL, SYNTHETIC = 10, 4
TEXT_OF_PANEL = "document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.textContent"
HOSTILE = "<img src=x onerror=alert(1)>![x](http://example.org)"


def write_store(root, name, count, **more):
    rng = np.random.default_rng(len(name))
    with StoreWriter(name, root, licence=licenses.DRAWN.as_dict(), source=name, **more) as writer:
        for row in range(count):
            pixels = rng.integers(0, 256, (12, 12), dtype=np.uint8)
            writer.add(Sample(f"{row}", pixels, None, None, "train", f"row {row}", {"occlusion": "mask"}))
        return f"stores/{writer.close().path.name}"


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """The small project of `curated_project`, without tables beside its manifests."""
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


@pytest.fixture
def faces(bare):
    """The same with every table that the curator reads."""
    add_tables(bare)
    return bare


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Ten real faces labelled fear (the first with a hostile name), then four synthetic ones labelled disgust."""
    (tmp_path / "fer.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    real = write_store(tmp_path, "real", REAL)
    made = write_store(tmp_path, "made", SYNTHETIC, generation={"generation_id": "test"})
    ids = [f"real/{HOSTILE}", *(f"real/{row}" for row in range(1, REAL)), *(f"made/{row}" for row in range(SYNTHETIC))]
    frame = manifest.new_rows(
        len(ids),
        sample_id=ids,
        store=[real] * REAL + [made] * SYNTHETIC,
        store_row=[*range(REAL), *range(SYNTHETIC)],
        label=["fear"] * REAL + ["disgust"] * SYNTHETIC,
        split="train",
        group_id=np.arange(len(ids)),
        origin=["real"] * REAL + ["synthetic"] * SYNTHETIC,
    )
    written = manifest.write(
        frame, tmp_path / "manifests/faces", label_set="basic7", command="test", licence=licenses.DRAWN.as_dict()
    )
    # Row 3 is the worst, then 1, then 0, then 2; the model takes them for surprise, row 2 for anger.
    columns = {
        "sample_id": ids[:6],
        "suggested_label": ["surprise", "surprise", "anger", "surprise", "fear", "fear"],
        "label_score": [0.3, 0.2, 0.4, 0.1, 0.8, 0.9],
        "is_label_issue": [True] * 4 + [False] * 2,
        "rank": [3, 2, 4, 1, 5, 6],
        **{f"p_{label}": np.full(6, 1 / 7, dtype=np.float32) for label in BASIC7},
    }
    facts = tables.provenance("label_audit", "test")
    tables.write_table(tmp_path / "audit.parquet", pa.table(columns), facts)
    return written


@pytest.fixture
def audit(project):
    return project.root / "audit.parquet"


@pytest.fixture
def collection(project, audit):
    return Collection(project, audit)


@pytest.fixture
def log(tmp_path):
    return DecisionLog(tmp_path / "decisions.sqlite")


@pytest.fixture
def settings(project, audit, tmp_path):
    return Settings(manifest=str(project.path), audit=str(audit), db=str(tmp_path / "decisions.sqlite"), reviewer="ada")


@pytest.fixture
def break_log(tmp_path, log):
    """A `with` block in which the log takes no event; with `reads` it cannot even be read."""

    def run(statement):
        with closing(sqlite3.connect(tmp_path / "decisions.sqlite", timeout=30)) as other, other:
            other.execute(statement)

    @contextmanager
    def broken(reads=False):
        refusal = "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        run(
            "ALTER TABLE decisions RENAME TO away"
            if reads
            else f"CREATE TRIGGER full BEFORE INSERT ON decisions {refusal}"
        )
        try:
            yield
        finally:
            run("ALTER TABLE away RENAME TO decisions" if reads else "DROP TRIGGER full")

    return broken


class Reviewer:
    """Somebody at the page, with patience."""

    def __init__(self, page):
        self.page = page

    def wait(self, **data):
        self.page.locator(".review" + "".join(f"[data-{name}='{value}']" for name, value in data.items())).wait_for()
        return self

    def press(self, *keys):
        for key in keys:
            if key == "z":
                self.page.wait_for_timeout(LOOK_MS)  # also where no face is left
            else:
                wait_for_face(self.page)
            self.page.keyboard.press(key)
        return self

    def read(self):
        return self.page.evaluate(TEXT_OF_PANEL)

    def wait_for(self, words):
        self.page.locator(".review", has_text=words).wait_for()
        return self


@pytest.fixture
def serve(settings):
    running = []

    def run(port, **changes):
        running.append(launch.start(settings.model_copy(update=changes), port))
        return running[-1]

    yield run
    for process in running:
        launch.stop(process)


@pytest.fixture
def visit(serve):
    """Opens a page of a server with these settings; the server and its port are at `.server` and `.port`."""
    with chromium() as browser:

        def open_page(query="", **changes):
            port = free_port()
            server = serve(port, **changes)
            reviewer = Reviewer(new_page(browser, f"http://{launch.HOST}:{port}/{query}"))
            reviewer.server, reviewer.port, reviewer.serve = server, port, serve
            return reviewer.wait(showing="face")

        yield open_page
