"""Class studies: at which weight two judges recognise content and style equally often.

A class study is a study whose axis is the weight of style against content, and whose measures are the answers of two
class judges. Its page has a part of its own: both accuracies, and the equilibrium where they cross.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from artune.balance.curve import KEPT_SHARE
from artune.errors import InputError, PictureError
from artune.files import file_digest
from artune.images.read import read_picture
from artune.images.resize import fitted
from artune.report.charts import Chart, Series, line_chart
from artune.report.tables import Table
from artune.spec.study import Choice, ClassStudySpec, StudySpec
from artune.spec.style import Optimise
from artune.studies.axis import weight_of, weighted_specs
from artune.studies.entries import SIDES, Side, Verdict, Verdicts
from artune.studies.findings import Findings, Judged, findings
from artune.studies.keys import settings
from artune.studies.measured import verdict_on
from artune.studies.run import loaded
from artune.studies.store import Store
from artune.studies.study import Study, StudyResult
from artune.transfer.start import given_start

TITLE = "Style against content, as judges of classes see it"
AXIS = "weight"
"""Name of the axis of a class study."""
MEASURE: Mapping[Side, str] = {side: f"{side}_class" for side in SIDES}
"""The measure of each side."""


def class_study(spec: ClassStudySpec, judges: Mapping[Side, Path]) -> StudySpec:
    """A class study as a study.

    Args:
        spec: what is asked for.
        judges: files of the class judges, by side.

    Raises:
        SpecError: a weight is given twice, is out of range, or does not belong to the spec's scale.
        InputError: a weight leaves one side alone.
    """
    points: dict[str, dict[str, Any]] = {}
    for each in weighted_specs(spec):
        method = each.method
        if spec.strengths is None and isinstance(method, Optimise):
            points[weight_of(each).label] = {
                "style_weight": method.style_weight,
                "content_weight": method.content_weight,
            }
        else:
            points[weight_of(each).label] = {"strength": each.strength}
    base = spec.spec.model_dump(exclude={"automatic", "strength"}, exclude_defaults=True)
    base |= {"size": spec.size, "method": {**base.get("method", {}), "kind": spec.spec.method.kind}}
    network = spec.spec.method.network if isinstance(spec.spec.method, Optimise) else spec.spec.method.kind
    return StudySpec(
        title=TITLE,
        question="At which weight of style against content are both recognised equally often?",
        source="Artuners, figure 1",
        contents=Choice(classes=spec.contents, count=spec.per_class, seed=spec.choice),
        styles=Choice(classes=spec.styles, count=spec.styles_per_class or spec.per_class, seed=spec.choice),
        base=base,
        axes={AXIS: points},
        weights={} if spec.weights is None else {network: str(spec.weights)},
        measures=(*MEASURE.values(), "seconds"),
        judges=dict(judges),
        rows=(),
    )


def is_class_study(study: Study) -> bool:
    """Whether a study varies nothing but the weight, and two judges see its pictures."""
    axes = [*study.spec.axes.values()]
    options = {name for point in axes[0].values() for name in point} if len(axes) == 1 else set()
    weights: tuple[set[str], ...] = ({"strength"}, {"style_weight", "content_weight"})
    return options in weights and {*MEASURE.values()} <= {*study.spec.measures}


def check_settings(study: Study, store: Store) -> None:
    """Raise unless a folder holds pictures of this class study alone: people are to see all of them.

    Raises:
        InputError: naming what differs.
        WeightsError: the network's weights are missing or do not fit.
    """
    run = study.cells[0].run
    start = given_start(run.spec.method.start)
    digests = {"weights": loaded(run.spec, run.weights).digest}
    if start is not None:
        digests["start"] = start.digest()
    store.check_settings(settings(run.spec, digests))


@dataclass(frozen=True)
class Untouched:
    """How well a judge recognises unchanged photographs or paintings, to compare the results' accuracies with.

    Attributes:
        accuracy: share of the pictures that is recognised.
        count: number of pictures.
        known: number of classes that the judge tells apart; it is right by chance in 1 of them.
        judge: name of the judge's file.
        digest: sha256 of the judge's file.
    """

    accuracy: float
    count: int
    known: int
    judge: str = ""
    digest: str = ""


def judge_untouched(study: Study, store: Store) -> None:
    """Let each judge see the unchanged pictures of its side, at the size of the results, unless it has seen them.

    Pictures that cannot be read are left out.

    Raises:
        OutputError: the store cannot be written.
    """
    for side, pictures in _unchanged(study).items():
        digest = study.tools.by(MEASURE[side])
        seen = store.values(pictures)
        for key, (file, label) in pictures.items():
            if any((name, value.by) == (MEASURE[side], digest) for name, value in seen.get(key, ())):
                continue
            try:
                picture = read_picture(file)
            except PictureError:
                continue
            resized = picture.resized(*fitted(*picture.size, _size(study)))
            store.add_values(key, {MEASURE[side]: verdict_on(resized, label, study.tools.judges[side])})


def untouched(study: Study, store: Store) -> dict[Side, Untouched]:
    """How well each judge recognises the unchanged pictures of its side, as far as it has seen them."""
    found: dict[Side, Untouched] = {}
    for side, pictures in _unchanged(study).items():
        digest = study.tools.by(MEASURE[side])
        own = [
            Verdict(picture=key, side=side, judge=value.by, **value.detail)
            for key, values in store.values(pictures).items()
            for name, value in values
            if (name, value.by) == (MEASURE[side], digest)
        ]
        if own:
            accuracy = sum(verdict.answer == pictures[verdict.picture][1] for verdict in own) / len(own)
            known = len(own[0].classes)
            found[side] = Untouched(accuracy, len(own), known, study.tools.judges[side].name, digest)
    return found


def _unchanged(study: Study) -> dict[Side, dict[str, tuple[Path, str]]]:
    """File and class of each unchanged picture, by its key in the store."""
    examples = {"content": study.contents, "style": study.styles}
    return {
        side: {
            f"{file_digest(each.file)}@{_size(study)}": (each.file, each.label)
            for each in examples[side]
            if each.file.is_file()
        }
        for side in SIDES
    }


def _size(study: Study) -> int:
    size = study.points[0].spec.size
    if size == "original":
        raise InputError("the results of a study are of one size; give `size` in pixels")
    return size


@dataclass(frozen=True)
class ClassPart:
    """The part of a page that class studies have.

    Attributes:
        found: what the judges recognised.
        seen: how well they recognise the unchanged pictures.
    """

    found: Findings
    seen: Mapping[Side, Untouched]

    @property
    def sentence(self) -> str:
        """The equilibrium, in a sentence."""
        return str(self.found.equilibrium) if self.found.equilibrium else "there is one weight, and no equilibrium"

    def tables(self) -> dict[str, Table]:
        """Accuracies by weight, and by class, by the names of their files."""
        by_class = self.found.tables
        return {"accuracy": self.found.table(), "contents": by_class["content"], "styles": by_class["style"]}

    def chart(self) -> Chart:
        """Both accuracies with their bands, the equilibrium and the safe interval."""
        found, even = self.found, self.found.equilibrium
        places = [weight.place for weight in found.weights]
        balance = (even.place, "equilibrium") if even and even.found else None
        safe = None if even is None or even.low is None or even.high is None else (even.low, even.high)
        bands = {side: found.accuracy[side] for side in ("style", "content")}
        return line_chart(
            {side: Series(places, band.value, band.low, band.high) for side, band in bands.items()},
            x_label="style weight : content weight" if found.weights[0].ratio else "strength",
            y_label="accuracy",
            ticks={weight.place: weight.label for weight in reversed(found.weights)},  # at one place the first label
            marked=balance,
            span=safe,
        )

    def section(self) -> dict[str, Any]:
        """The part, for the template of the page."""
        from artune.report.page import drawing

        seen = Table(
            ("side", "judge", "accuracy", "pictures", "by chance"),
            tuple(
                (side, f"{e.judge} {e.digest[:8]}", f"{e.accuracy:.3f}", str(e.count), f"{1 / e.known:.3f}")
                for side, e in self.seen.items()
            ),
        )
        titles = {
            "Accuracy at each weight, with the ends of the bands": self.found.table(),
            "Content recognised, by class": self.found.tables["content"],
            "Style recognised, by class": self.found.tables["style"],
            "Unchanged pictures": seen,
        }
        return {
            "title": "What the judges recognise",
            "chart": drawing(self.chart().svg),
            "text": "Accuracy of the judge of contents and of the judge of styles. The bands hold 95 % of the draws, "
            "in which photographs and paintings are drawn anew. The line is the equilibrium; in the shaded part both "
            f"keep {100 * KEPT_SHARE:.0f} % of their best.",
            "tables": [{"title": title, "head": table.head, "rows": table.rows} for title, table in titles.items()],
        }

    def summary(self) -> dict[str, object]:
        """The equilibrium, and how well the judges recognise unchanged pictures, for programs."""
        even = self.found.equilibrium
        balance: dict[str, object] | None = None
        if even is not None and not even.found:
            balance = {"reason": str(even.reason), "confidence": even.confidence, "settled": even.settled}
        elif even is not None:
            safe = [None if place is None else even.name(place) for place in (even.low, even.high)]
            balance = {
                "weight": even.name(even.place),
                "inner_95": list(even.ends),
                "settled": even.settled,
                "safe": safe,
                "reason": str(even.reason),
                "confidence": even.confidence,
                "logarithm": even.place,
            }
        return {"equilibrium": balance, "untouched": {side: asdict(each) for side, each in self.seen.items()}}


def class_part(result: StudyResult, store: Store) -> ClassPart | None:
    """The part of a class study's page; ``None`` for other studies.

    Raises:
        InputError: strengths and ratios are mixed.
    """
    study = result.study
    if not study.cells or not is_class_study(study):
        return None
    judged = []
    for cell in study.cells:
        own = result.details.get(cell.key, {})
        if all(MEASURE[side] in own and own[MEASURE[side]].detail.get("classes") for side in SIDES):
            content, style = (
                Verdict(picture=cell.key, side=side, judge=own[MEASURE[side]].by, **own[MEASURE[side]].detail)
                for side in SIDES
            )
            judged.append(Judged(cell.key, cell.run, content, style))
    return ClassPart(findings(judged), untouched(study, store)) if judged else None


def verdicts(store: Store) -> Verdicts:
    """All answers of class judges that a store holds."""
    sides: dict[str, Side] = {measure: side for side, measure in MEASURE.items()}
    return {
        (key, sides[name], value.by): Verdict(picture=key, side=sides[name], judge=value.by, **value.detail)
        for key, values in store.values().items()
        for name, value in values
        if name in sides and value.detail.get("classes")
    }
