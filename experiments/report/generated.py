"""How the generated faces fared."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report import charts, marks, wording
from experiments.report.contents import Results
from experiments.report.marks import Missing, Style
from experiments.report.parts import Estimate
from experiments.report.wording import interval, percent
from fer_data import pages
from fer_data.intervals import wilson
from fer_data.pages import Html, Section

TITLE = "Generated faces"
HEADERS = ("", "asked", "drawn", "kept", "judge agrees, %", "of real faces, %", "KID", "its floor")


def generated_faces(synthesis: Mapping[str, Any] | None, results: Results) -> Section | Missing:
    """What was asked of each generator, what came, what a judge makes of it, and which arms train on it."""
    if not synthesis:
        return Missing(TITLE, "no arm trains on generated faces.")
    if not synthesis["sources"]:
        return Missing(TITLE, " ".join(notes(synthesis, results)))
    rows = [
        [name, *(marks.two_lines(value, below) for value, below in figures(source))]
        for name, source in named(synthesis).items()
    ]
    table = pages.figure(pages.table(HEADERS, rows, "wrrrrrrr"), caption(synthesis))
    return Section(TITLE, pages.bullets(notes(synthesis, results)) + table + _chart(synthesis, results.labels))


def named(synthesis: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The sources by what was generated, numbered where there are several: "(2) dcgan: fear"."""
    sources = synthesis["sources"]
    if len(sources) == 1:
        return {sources[0]["title"]: sources[0]}
    return {f"({number}) {source['title']}": source for number, source in enumerate(sources, 1)}


def notes(synthesis: Mapping[str, Any], results: Results) -> list[str]:
    """How each source was made, why faces were dropped, and which arms train on it; what is not told, and why."""
    told = [synthesis["note"]] if synthesis.get("note") else []
    for name, source in named(synthesis).items():
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in source["dropped"].items())
        arms = _arms(source.get("arms", ()), results)
        sentences = [
            f"{name}. {wording.capital(source['preset'])}.",
            f"Dropped: {dropped}." if dropped else "",
            f"Trained on by {arms}." if arms else "",
            f"Not measured: {source['unmeasured']}." if source.get("unmeasured") else "",
            "Measured on the faces that screening kept, since those it dropped are not on this machine."
            if source.get("kept_only")
            else "",
        ]
        told.append(" ".join(sentence for sentence in sentences if sentence))
    return [*told, *synthesis.get("left_out", ())]


def _arms(names: Sequence[str], results: Results) -> str:
    """Main arms by their titles; points of a curve are counted."""
    main = [f"“{results.titles[arm]}”" for arm in names if arm in results.main_arms]
    points = len(names) - len(main)
    return ", ".join([*main, *([f"{wording.counted(points, 'arm')} of the curves"] if points else [])])


def caption(synthesis: Mapping[str, Any]) -> str:
    """What the columns hold."""
    kinds = ", ".join(dict.fromkeys(source["real_labels"] for source in synthesis["sources"]))
    return (
        "The judge knows only real faces and had no part in screening. It agrees where it sees the label that a face "
        "was asked for, before screening unless a note says otherwise; beside it, where it sees the label of a real "
        f"test face without copies ({kinds}), of the same classes. KID: the distance of generated faces to real "
        "training faces in what the judge sees, with its standard error; its floor is the distance of real test "
        "faces. A dash: too few faces."
    )


def figures(source: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The cells of a source after its name, each with what stands softly under it."""
    cells = [(f"{source[key]:,}", "") for key in ("asked", "made", "kept")]
    cells += [_level(_total(source["agreement"])), _level(_total(_real(source)))]
    kid = source.get("kid")
    if kid is None:
        return [*cells, ("–", ""), ("–", "")]
    return [*cells, (_decimals(kid["value"]), f"± {_decimals(kid['standard_error'])}"), (_decimals(kid["floor"]), "")]


def _chart(synthesis: Mapping[str, Any], labels: Sequence[str]) -> Html:
    measured = {name: source for name, source in named(synthesis).items() if source["agreement"]}
    if not measured:
        return Html("")
    chance = 1 / len(labels)
    drawn = [
        charts.judge_agreement(_shares(source["agreement"]), _shares(_real(source)), labels, chance, name)
        for name, source in measured.items()
    ]
    styles = {"generated": Style(pages.PALETTE[0], (1, 0), "circle"), "real": Style(charts.SOFT, (1, 0), "diamond")}
    below = f"How often the judge agrees, with Wilson's 95 % intervals. Dashed: chance, {percent(chance)} %."
    return pages.figure(marks.key(styles) + marks.panels(drawn), below)


def _real(source: Mapping[str, Any]) -> dict[str, Mapping[str, int]]:
    """Label → what the judge makes of real faces, where that is known."""
    return {label: counts["real"] for label, counts in source["agreement"].items() if counts.get("real")}


def _shares(counted: Mapping[str, Mapping[str, int]]) -> dict[str, Estimate]:
    return {label: _share(counts["agreed"], counts["of"]) for label, counts in counted.items() if counts["of"]}


def _total(counted: Mapping[str, Mapping[str, int]]) -> Estimate:
    return _share(*(sum(counts[key] for counts in counted.values()) for key in ("agreed", "of")))


def _share(agreed: int, total: int) -> Estimate:
    low, high = wilson(agreed, total)
    return Estimate(value=agreed / total if total else None, low=float(low), high=float(high))


def _decimals(value: float) -> str:
    """Three decimals with a true minus sign; what rounds to nothing has none."""
    told = f"{value:.3f}".replace("-", "−")
    return "0.000" if told == "−0.000" else told


def _level(share: Estimate) -> tuple[str, str]:
    return percent(share.value), interval(share, signed=False)
