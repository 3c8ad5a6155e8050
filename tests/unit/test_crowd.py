"""The benchmark of recognition among a crowd: known distances, what counts as another, and going on after a kill."""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from artune.images.picture import Picture
from artune.images.write import write_picture
from tests.scripts import imported

PAINTERS = ("a", "b", "c", "d", "e", "f")


@pytest.fixture(scope="module")
def balance():
    with imported("balance") as found:
        yield found


@pytest.fixture(scope="module")
def crowd(balance):
    return sys.modules["crowd"]


class TinyTrunk:
    """Two random convolutions; it counts the pictures that it sees."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.kernels = [torch.randn(shape, generator=generator) for shape in ((6, 3, 3, 3), (8, 6, 3, 3))]
        self.calls = 0

    def __call__(self, image, taps):
        self.calls += 1
        first = F.conv2d(image, self.kernels[0], stride=2).relu()
        found = {"first": first, "second": F.conv2d(first, self.kernels[1], stride=2).relu()}
        return {tap: found[tap] for tap in taps}


@pytest.fixture
def referee(crowd):
    return crowd.Referee("tiny", TinyTrunk(), ("first", "second"), ("first", "second"), "digest", side=32)


def texture(seed, cells=8):
    """Random cells in random colours."""
    rng = np.random.default_rng(seed)
    pixels = np.kron(rng.random((cells, cells, 3)) * rng.random(3), np.ones((64 // cells, 64 // cells, 1)))
    return Picture(pixels.astype(np.float32))


@pytest.fixture
def people(tmp_path):
    """Files of paintings and of photographs."""
    found = []
    for kind, seeds in (("paintings", range(5)), ("photographs", range(10, 16))):
        found.append([tmp_path / kind / f"{seed}.png" for seed in seeds])
        for path, seed in zip(found[-1], seeds, strict=True):
            write_picture(texture(seed, 16 if kind == "paintings" else 4), path)
    return found


def filled(assets, size=None):
    """The folders of a set of pictures; empty files, or small pictures."""
    data = assets / "data"
    names = [f"styleid/content/{i:02d}.jpg" for i in range(20)] + [f"styleid/style/{i:02d}.jpg" for i in range(40)]
    names += [f"photos/{i:03d}.jpg" for i in range(330)] if size is None else [f"photos/{i:03d}.jpg" for i in range(9)]
    for split, count in (
        (("train", 12), ("val", 3), ("test", 6)) if size is None else (("train", 1), ("val", 1), ("test", 1))
    ):
        names += [f"painters/{split}/{painter}/{split}-{i}.jpg" for painter in PAINTERS for i in range(count)]
    for seed, name in enumerate(names):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        if size is None:
            (data / name).touch()
        else:
            write_picture(texture(seed).resized(size, size), data / name)
    return assets


# ------------------------------------------------------------------------------------- pairs, crowd


def test_pairs_are_distinct_balanced_and_always_the_same(crowd, tmp_path):
    assets = filled(tmp_path)
    pairs = crowd.choose_pairs(assets, 60)
    assert len({*pairs}) == len({pair.name for pair in pairs}) == 60
    known = [pair for pair in pairs if "styleid" in pair.photograph.parts]
    drawn = [pair for pair in pairs if "photos" in pair.photograph.parts]
    assert (len(known), len(drawn)) == (30, 30)
    for some, side, most in ((known, 0, 2), (known, 1, 1), (drawn, 0, 1), (drawn, 1, 1)):
        assert max(Counter(pair[side] for pair in some).values()) == most
    assert len({pair.photograph for pair in known}) == 20
    assert Counter(pair.painting.parent.name for pair in drawn) == dict.fromkeys(PAINTERS, 5)
    assert {pair.painting.parents[1].name for pair in drawn} == {"test"}
    assert crowd.choose_pairs(assets, 60) == pairs
    assert crowd.choose_pairs(assets, 20) == pairs[:20]


def test_the_crowd_has_others_by_the_same_painters_and_none_of_the_drawn_pairs(crowd, tmp_path):
    assets = filled(tmp_path)
    paintings, photographs = crowd.choose_crowd(assets)
    assert (len({*paintings}), len({*photographs})) == (100, 300)
    assert sum("styleid" in path.parts for path in paintings) == 40
    assert sum("styleid" in path.parts for path in photographs) == 20
    by_painter = Counter(path.parent.name for path in paintings if "painters" in path.parts)
    assert by_painter == dict.fromkeys(PAINTERS, 10)
    drawn = crowd.choose_pairs(assets, 60)[1::2]
    assert not {path for pair in drawn for path in pair} & {*paintings, *photographs}
    assert crowd.choose_crowd(assets) == (paintings, photographs)


# ------------------------------------------------------------------------------------- distances


def test_distances_of_vectors_are_over_the_mean_of_both_squared_norms(crowd):
    others = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [3.0, 0.0], [0.0, 0.0]])
    assert crowd.apart(torch.tensor([1.0, 0.0]), others).tolist() == pytest.approx([0, 2, 4, 4 / 5, 2])
    assert crowd.apart(torch.zeros(2), torch.zeros(1, 2)).tolist() == [0]


def test_style_distance_is_symmetric_and_that_of_means_and_covariances(crowd, referee):
    pictures = texture(1), texture(2, 16)
    seen = [referee.see(picture) for picture in pictures]
    there, back = (
        float(crowd.style_distances(a.strokes, [each[None] for each in b.strokes])) for a, b in (seen, reversed(seen))
    )
    expected = []
    features = [
        referee.trunk(F.interpolate(p.tensor(), (32, 32), mode="bicubic", antialias=True).clamp(0, 1), referee.strokes)
        for p in pictures
    ]
    for tap in referee.strokes:
        rows = [found[tap][0].flatten(1).double().numpy() for found in features]
        for measure in (lambda x: x.mean(1), lambda x: np.cov(x, bias=True)):
            a, b = map(measure, rows)
            expected.append(((a - b) ** 2).sum() / (((a**2).sum() + (b**2).sum()) / 2))
    assert there == pytest.approx(back, rel=1e-5)
    assert there == pytest.approx(sum(expected) / 2, rel=1e-4)


def test_content_distance_is_one_less_the_mean_cosine_of_centred_features(crowd, referee):
    pictures = texture(1), texture(2, 16)
    a, b = (referee.see(picture) for picture in pictures)
    features = [
        referee.trunk(F.interpolate(p.tensor(), (32, 32), mode="bicubic", antialias=True).clamp(0, 1), referee.content)
        for p in pictures
    ]
    cosines = []
    for tap in referee.content:
        left, right = (found[tap] - found[tap].mean((2, 3), keepdim=True) for found in features)
        cosines.append(float(F.cosine_similarity(left.flatten(), right.flatten(), dim=0)))
    found = crowd.content_distances(a.layout, torch.stack([a.layout, b.layout]))
    assert found.tolist() == pytest.approx([0, 1 - sum(cosines) / 2], abs=1e-5)


def test_margins_are_positive_where_the_own_one_is_nearest(crowd):
    margins = [crowd.Match(own, other, "").margin for own, other in ((1, 3), (3, 1), (2, 2), (0, 2), (2, 0), (0, 0))]
    assert margins == [0.5, -0.5, 0, 1, -1, 0]


# ------------------------------------------------------------------------------------- recognition


def test_painting_and_photograph_are_recognised_in_themselves_and_others_are_not(crowd, referee, people, tmp_path):
    known = crowd.Crowd.of(referee, *people, cache=tmp_path / "cache")
    target = known.target(texture(20, 4), texture(21, 16))
    style, _ = known.recognise(texture(21, 16), target)
    _, content = known.recognise(texture(20, 4), target)
    assert (style.own, style.margin) == (0, 1)
    assert content.own == pytest.approx(0, abs=1e-5)
    assert content.margin > 0.99
    style, _ = known.recognise(texture(3, 16), target)
    _, content = known.recognise(texture(12, 4), target)
    assert style.nearest == "paintings/3"
    assert content.nearest == "photographs/12"
    assert max(style.margin, content.margin) < -0.9
    style, content = known.recognise(texture(30), target)
    assert all(-1 <= each.margin <= 1 for each in (style, content))


def test_copies_of_the_own_pictures_are_no_others(crowd, referee, people, tmp_path):
    known = crowd.Crowd.of(referee, *people, cache=tmp_path / "cache")
    larger = texture(3, 16).resized(80, 80), texture(12, 4).resized(80, 80)
    target = known.target(larger[1], larger[0])
    assert target.paintings.tolist() == [True, True, True, False, True]
    assert target.photographs.tolist() == [True, True, False, True, True, True]
    style, _ = known.recognise(texture(3, 16), target)
    _, content = known.recognise(texture(12, 4), target)
    assert style.nearest != "paintings/3"
    assert content.nearest != "photographs/12"
    assert min(style.margin, content.margin) > 0
    alone = crowd.Crowd.of(referee, people[0][3:4], people[1], tmp_path / "cache")
    with pytest.raises(SystemExit, match="copies of the pair alone"):
        alone.target(larger[1], larger[0])


def test_a_crowd_is_looked_at_once_and_again_where_it_changed(crowd, referee, people, tmp_path):
    cache = tmp_path / "cache"
    first = crowd.Crowd.of(referee, *people, cache=cache)
    assert referee.trunk.calls == 11
    again = crowd.Crowd.of(referee, *people, cache=cache)
    assert (referee.trunk.calls, again.key) == (11, first.key)
    assert all(torch.equal(*both) for both in zip(first.strokes, again.strokes, strict=True))
    write_picture(texture(99), people[0][0])
    changed = crowd.Crowd.of(referee, *people, cache=cache)
    assert referee.trunk.calls == 22
    assert changed.key != first.key
    assert not torch.equal(changed.strokes[0], first.strokes[0])


class Studio:
    """Cases of a pair; it counts the pictures that it makes."""

    def __init__(self, crowd):
        self.made, self.crowd = Counter(), crowd

    def cases(self, names=("found", "0.5", "photograph")):
        def case(name):
            def make():
                self.made[name] += 1
                return texture(len(name)), None if name == "photograph" else 0.5

            return self.crowd.Case("a x b", name, "optimise", 64, f"key-{name}", make)

        return map(case, names)


def test_a_killed_run_goes_on(crowd, referee, people, tmp_path):
    known = crowd.Crowd.of(referee, *people, cache=tmp_path / "cache")
    pair, studio, folder = (texture(20, 4), texture(21, 16)), Studio(crowd), tmp_path / "work"

    def run(crowds):
        return [*crowd.recognised(*pair, studio.cases(), crowds, crowd.Results(folder))]

    first = run([known])
    whole = (folder / "lines.jsonl").read_bytes()
    assert len(whole.splitlines()) == len(first) == 3
    assert run([known]) == first
    assert studio.made == {"found": 1, "0.5": 1, "photograph": 1}
    (folder / "lines.jsonl").write_bytes(whole[:-9])
    assert run([known]) == first
    assert studio.made == {"found": 1, "0.5": 1, "photograph": 2}
    assert (folder / "lines.jsonl").read_bytes() == whole

    other = crowd.Crowd.of(replace(referee, name="other", digest="other"), *people, cache=tmp_path / "other")
    lines = run([known, other])
    assert [line.referee for line in lines] == ["tiny", "other"] * 3
    assert [(line.style, line.content) for line in lines[::2]] == [(line.style, line.content) for line in lines[1::2]]
    assert studio.made == {"found": 1, "0.5": 1, "photograph": 2}  # the pictures were kept


# ------------------------------------------------------------------------------------- findings


def test_the_interval_of_no_difference_contains_none(crowd):
    ours = np.random.default_rng(0).normal(size=40)
    assert crowd.paired(ours, ours) == (0, 0, 0)
    noise = np.random.default_rng(1).normal(size=40)
    mean, low, high = crowd.paired(ours, ours - noise + noise.mean())
    assert mean == pytest.approx(0, abs=1e-12)
    assert low < 0 < high
    mean, low, high = crowd.paired(ours, ours - 1 - 0.1 * noise)
    assert 0 < low < mean < high
    assert high - low == pytest.approx(2 * 1.96 * 0.1 * noise.std() / 40**0.5, rel=0.1)


def test_findings_are_shares_and_paired_differences(crowd):
    def line(case, strength, style, content):
        matches = [crowd.Match(1 - margin, 1 + margin, "") for margin in (style, content)]
        return crowd.Line("", "", "tiny", "", case, "", 64, strength, *matches)

    lines = []
    for found, fixed in (((0.2, 0.3), (0.1, 0.3)), ((0.4, 0.2), (-0.2, 0.5)), ((-0.1, 0.6), (-0.1, 0.6))):
        lines += [line("found", 0.4, *found), line("0.5", 0.5, *fixed), line("photograph", None, -0.5, 0.9)]
    table = crowd.findings(lines)
    found, fixed, control = table.rows
    assert found == ("found", "0.67", "1.00", "0.67", "+0.100", "", "")
    assert fixed[:5] == ("0.5", "0.33", "1.00", "0.33", "-0.067")
    assert fixed[5].startswith("+0.33 (+0.00 .. ")
    assert fixed[6].startswith("+0.167 (+0.000 .. ")
    assert control == ("photograph", "0.00", "1.00", "0.00", "-0.500", "", "")
    text = crowd.aligned(table).splitlines()
    assert [each.split()[0] for each in text] == ["strength", "found", "0.5", "photograph"]
    assert text[1].index("0.67") == text[2].index("0.33")


def test_the_command_prints_a_table_and_makes_nothing_twice(balance, crowd, referee, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(balance, "REFEREES", {"tiny": lambda assets: referee})
    tuning, made = SimpleNamespace(balance=SimpleNamespace(strength=0.4)), []
    monkeypatch.setattr(balance.api, "find_strength", lambda task: tuning if task.open else None)
    monkeypatch.setattr(balance.api, "plan", lambda task, tuning: made.append((task.spec.strength, tuning)))
    monkeypatch.setattr(balance.api, "finish", lambda run: SimpleNamespace(picture=texture(len(made))))
    args = argparse.Namespace(
        assets=filled(tmp_path / "assets", 40),
        work=tmp_path / "work",
        pairs=2,
        method="optimise",
        size=32,
        fixed=[0.2],
        referees=["tiny"],
        paintings=8,
        photographs=8,
        markdown=False,
    )
    balance.among_crowd(args)
    said = capsys.readouterr().out
    cases = ["found", "0.2", "photograph", "painting", "colours, moments", "colours, histogram"]
    rows = said.split("lesser margin\n")[-1].splitlines()
    assert [row.split("  ")[0] for row in rows] == cases
    assert rows[3].split()[1] == "1.00"  # the painting's style
    assert "found: strength 0.40 (median)" in said
    assert rows[2].split()[2] == "1.00"  # the photograph's content
    assert len((args.work / "lines.jsonl").read_text().splitlines()) == 2 * len(cases)

    assert made == [("auto", tuning), (0.2, None)] * 2

    args.markdown = True
    balance.among_crowd(args)
    assert len(made) == 4
    again = capsys.readouterr().out
    assert again.split("\n\n")[0] == said.split("\n\n")[0]
    assert "| found " in again
