"""How steady films are: warping error, style and sharpness, beside the same frames styled one by one, as pictures.

    python benchmarks/video.py --assets DIR run [--methods instant optimise] [--clips blackswan] [--frames 30]
    python benchmarks/video.py --assets DIR run --methods trained --weights STYLE.safetensors --paintings 03
    python benchmarks/video.py --assets DIR table

Clips: two of DAVIS 2016, a pan over two photographs with a cut, and the frames of Sintel whose true flow is known.

The warping error is that of Lai et al. 2018, "Learning Blind Video Temporal Consistency": the mean squared difference
between a frame and another one that is warped to it, where it can be seen there. The flow is that of the frames as they
were given: by DIS, or Sintel's own. It is measured from each frame to the one before, and to that ten frames before.
Style distance: strokes and fine texture, by ``artune.metrics.perceptual``, mean of five frames. Sharpness: standard
deviation of the Laplacian, mean of all frames.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from quality import referee

from artune.images.picture import Floats, Picture
from artune.images.read import read_picture
from artune.spec.style import Instant, Optimise, StyleSpec, Trained
from artune.transfer.inputs import read_painting
from artune.transfer.methods import method_of
from artune.video.film import load_for_film
from artune.video.flow import Flow, FlowEstimator, Weight, warped
from artune.video.frames import Frame
from artune.video.steady import Earlier
from artune.video.styler import Look, Styler

RESULTS = Path(__file__).parent / "results" / "video.jsonl"
PAINTINGS = ("06", "21")
"""Paintings of StyleID."""
STRENGTH = 2 / 3
FAR = 10
"""Frames between the two that are compared over a gap."""
PAN = 4
"""Pixels of a pan from one frame to the next."""
METHODS = {
    "instant": StyleSpec(strength=STRENGTH, method=Instant()),
    "optimise": StyleSpec(strength=STRENGTH, method=Optimise()),
    "trained": StyleSpec(method=Trained()),
}


@dataclass(frozen=True)
class Clip:
    """Frames, and which of them begin a scene.

    Attributes:
        frames: at the size at which they are styled.
        firsts: numbers of the first frames of the scenes.
        truth: flow from a frame to an earlier one and what of it is valid, by both numbers, where it is known.
    """

    frames: Sequence[Floats]
    firsts: tuple[int, ...] = (0,)
    truth: tuple[int, int, Flow, Weight] | None = None


def clip_of(assets: Path, name: str, count: int, size: int) -> Clip:
    """A clip by its name."""
    folder = assets / "data/video"
    if name == "pan":
        photographs = [read_picture(assets / f"data/styleid/content/{number:02d}.jpg") for number in (3, 9)]
        return Clip(
            [each for photograph in photographs for each in _pan(photograph, count // 2, size)], (0, count // 2)
        )
    if name == "sintel":
        return _sintel(folder / "sintel/clean-easy")
    files = sorted((folder / "davis" / name / "frames").iterdir())[:count]
    return Clip([_sized(read_picture(file), size).pixels for file in files])


def _sized(picture: Picture, size: int) -> Picture:
    width, height = picture.size
    return picture.resized(size, round(size * height / width))


def _pan(photograph: Picture, count: int, size: int) -> list[Floats]:
    """Frames of a camera that goes to the right over a photograph, 16 to 9."""
    wide = photograph.resized(size + PAN * count, size + PAN * count).pixels
    height = size * 9 // 16
    return [np.ascontiguousarray(wide[:height, PAN * n : PAN * n + size]) for n in range(count)]


def _sintel(folder: Path) -> Clip:
    """The frames with true flow, which is from frame 2 to 3; so they are taken backwards."""
    files = [folder / f"frame_{number:04d}.jpg" for number in (4, 3, 2, 1)]
    frames = [read_picture(file).pixels for file in files]
    data = np.fromfile(folder / "frame_0002.flo", np.uint8)
    width, height = np.frombuffer(data[4:12], np.int32)
    flow = np.frombuffer(data[12:], np.float32).reshape(height, width, 2).copy()
    hidden = [
        np.asarray(Image.open(folder / f"frame_0002_{kind}.png").convert("L")) for kind in ("occlusions", "invalid")
    ]
    valid = np.all([each < 128 for each in hidden], axis=0).astype(np.float32)
    return Clip(frames, (0,), (2, 1, flow, valid))


def warping_error(frame: Floats, other: Floats, flow: Flow, valid: Weight) -> float:
    """Mean squared difference where a frame can be seen in another one."""
    seen = (valid > 0.5).astype(np.float32)
    apart = ((frame - warped(other, flow)) ** 2).mean(2)
    return float((apart * seen).sum() / max(seen.sum(), 1))


class Origins:
    """Where frames of a clip come from, found once."""

    def __init__(self, clip: Clip) -> None:
        self.clip, self.estimator = clip, FlowEstimator()
        self._found: dict[tuple[int, int], tuple[Flow, Weight]] = {}

    def of(self, number: int, other: int) -> tuple[Flow, Weight]:
        """Flow from a frame to another one, and what is valid."""
        if (number, other) not in self._found:
            origin = self.estimator.origin(self.clip.frames[number], self.clip.frames[other])
            self._found[number, other] = origin.flow, origin.valid
        return self._found[number, other]

    def errors(self, frames: Sequence[Floats], gap: int) -> float | None:
        """Mean warping error over a gap, within scenes; of true flow where that is known."""
        clip = self.clip
        if clip.truth is not None:
            number, other, flow, valid = clip.truth
            return warping_error(frames[number], frames[other], flow, valid) if gap == 1 else None
        found = [
            warping_error(frames[number], frames[number - gap], *self.of(number, number - gap))
            for number in range(gap, len(frames))
            if not any(number - gap < first <= number for first in clip.firsts)
        ]
        return float(np.mean(found)) if found else None


def sharpness(frames: Sequence[Floats]) -> float:
    """Standard deviation of the Laplacian, mean of all frames."""
    return float(np.mean([cv2.Laplacian(frame, cv2.CV_32F).std() for frame in frames]))


def styled(look: Look, clip: Clip, *, alone: bool) -> tuple[list[Floats], float]:
    """The frames of a clip, styled one by one or as a film, and the seconds of a frame."""
    found: list[Floats] = []
    earlier: list[Earlier] = []
    styler = Styler(look)
    began = time.perf_counter()
    for number, pixels in enumerate(clip.frames):
        if number in clip.firsts:
            earlier, styler = [], Styler(look)
        frame = Frame(number, Fraction(number, 25), Fraction(1, 25), Picture(pixels))
        one = styler.style(frame, [] if alone else earlier)
        earlier = [one.kept, *earlier][: max(look.reach)]
        found.append(one.picture.pixels)
    return found, (time.perf_counter() - began) / len(clip.frames)


def run(args: argparse.Namespace) -> None:
    """Style clips, and append a line of figures for each."""
    judge = referee(args.assets)
    RESULTS.parent.mkdir(exist_ok=True)
    for name in args.clips:
        clip = clip_of(args.assets, name, args.frames, args.size)
        origins = Origins(clip)
        for method in args.methods:
            spec = METHODS[method].model_copy(update={"size": max(clip.frames[0].shape)})
            networks = {
                True: method_of(spec).load(spec, args.weights, None),
                False: load_for_film(spec, args.weights),
            }
            for number in args.paintings:
                painting = read_painting(read_picture(args.assets / f"data/styleid/style/{number}.jpg"), False)
                for alone, network in networks.items():
                    look = Look(spec, (painting,) if spec.method.takes_paintings else (), network)
                    frames, seconds = styled(look, clip, alone=alone)
                    some = range(0, len(frames), max(1, len(frames) // 5))
                    seen = [
                        judge.distances(
                            *(each.tensor() for each in (Picture(frames[n]), Picture(clip.frames[n]), painting.picture))
                        )
                        for n in some
                    ]
                    row = {
                        "clip": name,
                        "method": f"{method}{' ' + args.label if args.label else ''}",
                        "painting": number,
                        "alone": alone,
                        "size": max(clip.frames[0].shape),
                        "near": origins.errors(frames, 1),
                        "far": origins.errors(frames, FAR),
                        "input": origins.errors(clip.frames, 1),
                        "input far": origins.errors(clip.frames, FAR),
                        **{
                            key: float(np.mean([asdict(each)[key] for each in seen]))
                            for key in ("fine", "strokes", "content")
                        },
                        "sharpness": sharpness(frames),
                        "seconds": seconds,
                    }
                    with RESULTS.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    print(json.dumps(row), flush=True)
                    if args.keep:
                        place = args.keep / f"{name}-{method}-{number}-{'alone' if alone else 'film'}"
                        place.mkdir(parents=True, exist_ok=True)
                        for index, frame in enumerate(frames):
                            Image.fromarray(np.rint(255 * frame.clip(0, 1)).astype(np.uint8)).save(
                                place / f"{index:03d}.png"
                            )


def table(args: argparse.Namespace) -> None:
    """Print each film beside the same frames one by one."""
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    latest = {(r["clip"], r["method"], r["painting"], r["alone"]): r for r in rows}
    head = ("error", "of 10", "input", "fine", "strokes", "sharp", "frames/s")
    print(f"{'clip':<12} {'method':<16} {'':<3}" + "".join(f"{each:>9}" for each in head))
    for clip, method, painting, alone in sorted(latest):
        if alone or (clip, method, painting, True) not in latest:
            continue
        film, one = latest[clip, method, painting, False], latest[clip, method, painting, True]

        def share(key: str, film: dict[str, float] = film, one: dict[str, float] = one) -> str:
            return f"{film[key] / one[key]:.2f}" if film[key] is not None else "-"

        shares = [share(key) for key in ("near", "far", "fine", "strokes", "sharpness")]
        shares.insert(2, f"{one['input'] / one['near']:.2f}")
        cells = [*shares, f"{1 / film['seconds']:.2f}"]
        print(f"{clip:<12} {method:<16} {painting:<3}" + "".join(f"{each:>9}" for each in cells))


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    out.add_argument("--assets", type=Path, required=True)
    commands = out.add_subparsers(required=True)
    command = commands.add_parser("run")
    command.set_defaults(do=run)
    command.add_argument("--clips", nargs="+", default=["blackswan", "dance-twirl", "pan", "sintel"])
    command.add_argument("--methods", nargs="+", choices=[*METHODS], default=["instant"])
    command.add_argument("--paintings", nargs="+", default=[*PAINTINGS])
    command.add_argument("--frames", type=int, default=30)
    command.add_argument("--size", type=int, default=640)
    command.add_argument("--weights", type=Path, help="weights of the method's network; the file of a trained style")
    command.add_argument("--label", default="", help="added to the method's name")
    command.add_argument("--keep", type=Path, help="folder for the frames")
    commands.add_parser("table").set_defaults(do=table)
    return out


if __name__ == "__main__":
    arguments = parser().parse_args()
    arguments.do(arguments)
