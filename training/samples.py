"""Draw the sample style pictures that travel with the package.

    python training/samples.py [--output src/artune/bundled] [--size 512]

Each is painted from nothing but numpy and a seed: strokes along a flow field, a mosaic of stones, a woodcut, washes of
ink and colour. They are our own work, under the package's licence.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage
from scipy.spatial import cKDTree

Array = np.ndarray


def noise(rng: np.random.Generator, size: int, scale: float, octaves: int = 4) -> Array:
    """Smooth noise in about [-1, 1]: ``scale`` is the size of its largest forms, pixels."""
    total = np.zeros((size, size))
    for octave in range(octaves):
        step = scale / 2**octave
        cells = int(np.ceil(size / step)) + 3
        grid = ndimage.zoom(rng.standard_normal((cells, cells)), step, order=3)[:size, :size]
        total += grid / 1.9**octave
    result: Array = total / np.abs(total).max()
    return result


def palette(*colours: str) -> Array:
    return np.array([[int(c[i : i + 2], 16) for i in (0, 2, 4)] for c in colours], float) / 255


def ramp(colours: Array, t: Array) -> Array:
    """Colours along a ramp at ``t`` in [0, 1]."""
    place = np.clip(t, 0, 1) * (len(colours) - 1)
    low = np.minimum(place.astype(int), len(colours) - 2)
    share = (place - low)[..., None]
    result: Array = colours[low] * (1 - share) + colours[low + 1] * share
    return result


def strokes(rng: np.random.Generator, size: int) -> Array:
    """Thick oil strokes that follow a turning flow, over a night sky and hills."""
    n = size * 2
    y, x = np.mgrid[0:n, 0:n] / n
    angle = 2.2 * noise(rng, n, n / 3, 3) + 0.6 * np.sin(5 * x)
    light = np.zeros((n, n))
    for _ in range(9):
        cx, cy, r = rng.uniform(0.05, 0.95), rng.uniform(0.05, 0.6), rng.uniform(0.02, 0.06)
        d = np.hypot(x - cx, y - cy)
        near = np.exp(-((d / (3.2 * r)) ** 2))
        light = np.maximum(light, np.exp(-((d / (1.5 * r)) ** 2)))
        angle = angle * (1 - near) + (np.arctan2(y - cy, x - cx) + np.pi / 2) * near
    hills = y > 0.68 + 0.09 * np.sin(6 * x + 1) + 0.05 * noise(rng, n, n / 4, 2)
    sky = ramp(palette("0b1d51", "15418c", "2f7fc1", "7fc3d8", "2a5fa8"), 0.5 + 0.5 * noise(rng, n, n / 5, 3) - 0.1 * y)
    land = ramp(palette("0a2a2b", "1c4b3a", "3f7a4a", "8a9a3c", "c98f2b"), 0.5 + 0.6 * noise(rng, n, n / 6, 3))
    base = np.where(hills[..., None], land, sky)
    base = base * (1 - light[..., None]) + ramp(palette("f6c945", "fff3b0"), light) * light[..., None]
    canvas = Image.fromarray((base * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(6))
    height = Image.new("F", (n, n), 0)
    draw, relief = ImageDraw.Draw(canvas), ImageDraw.Draw(height)
    for layer, (count, length, width) in enumerate(((2600, 90, 26), (6500, 64, 15), (9000, 44, 9))):
        for _ in range(count):
            px, py = rng.uniform(0, n, 2)
            colour = base[int(py), int(px)]
            tone = colour * rng.uniform(0.75, 1.28) + rng.normal(0, 0.035, 3)
            path = [(px, py)]
            for _ in range(int(length / 6)):
                a = angle[int(py) % n, int(px) % n]
                px, py = px + 6 * np.cos(a), py + 6 * np.sin(a)
                path.append((px, py))
            ink = tuple(int(v) for v in np.clip(tone, 0, 1) * 255)
            wide = max(3, int(width * rng.uniform(0.6, 1.3)))
            draw.line(path, fill=ink, width=wide, joint="curve")
            level = layer * 2 + rng.uniform(0, 2)
            relief.line(path, fill=level, width=wide)
            for k in (-0.28, 0.05, 0.32):  # bristles
                shift = [(qx + k * wide, qy + k * wide * 0.6) for qx, qy in path]
                relief.line(shift, fill=level + rng.uniform(-1, 1), width=max(1, wide // 6))
    relief_map = ndimage.gaussian_filter(np.asarray(height), 1.2)
    shade = ndimage.sobel(relief_map, 0) + ndimage.sobel(relief_map, 1)
    result: Array = np.asarray(canvas, float) / 255 + 0.012 * np.clip(shade, -9, 9)[..., None]
    return result


def mosaic(rng: np.random.Generator, size: int) -> Array:
    """Stones of coloured glass, with dark joints, in rows that bend round two suns."""
    n = size * 2
    y, x = np.mgrid[0:n, 0:n].astype(float)
    points: list[tuple[float, float]] = []
    pitch = 26
    for row in range(-4, n // pitch + 6):
        for col in range(-4, n // pitch + 6):
            u, v = col * pitch + (row % 2) * pitch / 2, row * pitch
            bend = 34 * np.sin(u / 130) + 22 * np.sin(v / 90 + u / 260)
            points.append((u + 12 * np.sin(v / 70) + rng.normal(0, 2.4), v + bend + rng.normal(0, 2.4)))
    centres = np.array(points)
    tree = cKDTree(centres)
    distance, index = tree.query(np.stack([x.ravel(), y.ravel()], 1), k=2)
    edge = (distance[:, 1] - distance[:, 0]).reshape(n, n)
    owner = index[:, 0].reshape(n, n)
    cx, cy = centres[:, 0] / n, centres[:, 1] / n
    wave = np.sin(9 * cy + 3 * np.sin(5 * cx)) * 0.5 + 0.5
    colours = ramp(palette("0d3b66", "1f7a8c", "3fb59b", "f4d35e", "ee964b", "c8553d", "7a1e3a"), wave)
    for sx, sy, r in ((0.28, 0.3, 0.17), (0.76, 0.66, 0.12)):
        d = np.hypot(cx - sx, cy - sy) / r
        sun = ramp(palette("fff4c2", "f9c22e", "f15946", "8c1c4b"), np.clip(d, 0, 1))
        colours = np.where((d < 1)[:, None], sun, colours)
    colours = np.clip(colours * rng.uniform(0.72, 1.2, (len(colours), 1)) + rng.normal(0, 0.04, colours.shape), 0, 1)
    stone = colours[owner]
    joint = np.clip((edge - 2.5) / 3.5, 0, 1)[..., None]
    bevel = np.clip(edge / 14, 0, 1)
    light = ndimage.sobel(bevel, 0) * -1.1 + ndimage.sobel(bevel, 1) * -0.9
    grain = 0.035 * noise(rng, n, 12, 3)
    stone = stone * (0.93 + 0.07 * bevel[..., None]) + 0.09 * light[..., None] + grain[..., None]
    result: Array = stone * joint + np.array([0.11, 0.09, 0.1]) * (1 - joint)
    return result


def woodcut(rng: np.random.Generator, size: int) -> Array:
    """Black lines cut into wood: water, a mountain, a sun; three inks on warm paper."""
    n = size * 2
    y, x = np.mgrid[0:n, 0:n] / n
    paper = np.array([0.93, 0.87, 0.74])
    tone = 0.35 + 0.3 * noise(rng, n, n / 3, 3)
    ridge = 0.42 + 0.22 * np.abs(x - 0.6) * 2 + 0.05 * noise(rng, n, n / 8, 4)
    mountain = (y > ridge) & (y < 0.72)
    tone = np.where(mountain, 0.45 + 1.5 * (y - ridge) + 0.5 * noise(rng, n, n / 10, 4), tone)
    water = y >= 0.72
    bent = np.clip(y + 0.02 * np.sin(16 * x) + 0.012 * np.sin(41 * x + 2), 0, None)
    waves = np.sin(140 * bent**1.6)
    tone = np.where(water, 0.55 + 0.4 * waves, tone)
    sun = np.hypot(x - 0.27, y - 0.24) < 0.11
    flow = 3 * noise(rng, n, n / 3, 2)
    hatch = np.sin(2 * np.pi * (n / 15) * (x * np.cos(0.5) + y * np.sin(0.5)) + 4 * flow)
    hatch += 0.35 * noise(rng, n, 14, 3)
    cross = np.sin(2 * np.pi * (n / 17) * (x * np.cos(2.1) + y * np.sin(2.1)) - 3 * flow)
    line = (hatch * 0.5 + 0.5 < tone) | ((cross * 0.5 + 0.5 < tone - 0.55) & mountain)
    sky_lines = np.sin(2 * np.pi * (n / 24) * (y + 0.015 * np.sin(9 * x)) + 2 * flow) * 0.5 + 0.5 < 0.22 + 0.3 * y
    line = np.where(water, tone > 0.62, np.where(mountain, line, sky_lines))
    edges = np.abs(ndimage.sobel(mountain.astype(float), 0)) + np.abs(ndimage.sobel(mountain.astype(float), 1)) > 0
    edges |= np.abs(ndimage.sobel(sun.astype(float), 0)) + np.abs(ndimage.sobel(sun.astype(float), 1)) > 0
    line |= ndimage.binary_dilation(edges, iterations=3)
    line = ndimage.gaussian_filter(line.astype(float), 1.1) > 0.5
    colour = np.broadcast_to(paper, (n, n, 3)).copy()
    colour[water] = [0.45, 0.62, 0.66]
    colour[mountain] = [0.8, 0.62, 0.42]
    colour[sun] = [0.8, 0.24, 0.16]
    wood = 0.05 * np.sin(2 * np.pi * 22 * (y + 0.06 * noise(rng, n, n / 2, 2))) * noise(rng, n, n / 9, 3)
    colour = colour * (1 + wood[..., None])
    worn = noise(rng, n, 9, 2) > 0.62
    ink = np.where(line & ~worn, 1.0, 0.0)[..., None]
    result: Array = colour * (1 - ink) + np.array([0.1, 0.09, 0.13]) * ink
    return result


def washes(rng: np.random.Generator, size: int) -> Array:
    """Transparent washes of watercolour with dark rims, on grained paper."""
    n = size * 2
    y, x = np.mgrid[0:n, 0:n] / n
    grain = noise(rng, n, 9, 3)
    page = np.ones((n, n, 3)) * np.array([0.965, 0.95, 0.91])
    inks = palette("2f6690", "d1495b", "edae49", "66a182", "8d5a97", "3a7ca5", "e76f51", "457b9d")
    for index in range(26):
        cx, cy, r = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.1, 0.3)
        warp = noise(rng, n, n / 4, 5)
        d = np.hypot((x - cx) * rng.uniform(0.6, 1.6), (y - cy) * rng.uniform(0.6, 1.6)) / r + 0.42 * warp
        inside = np.clip((1 - d) * 34, 0, 1)
        rim = np.exp(-(((1 - d) * 22 - 0.9) ** 2))
        depth = inside * (0.28 + 0.2 * noise(rng, n, n / 5, 4)) + 0.3 * rim + 0.07 * inside * grain
        ink = inks[index % len(inks)] * rng.uniform(0.85, 1.1)
        page *= 1 - np.clip(depth, 0, 0.8)[..., None] * (1 - np.clip(ink, 0, 1))
    for _ in range(60):  # a loaded brush, shaken
        cx, cy, r = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.002, 0.009)
        drop = np.clip((r - np.hypot(x - cx, y - cy)) * n / 2, 0, 1)[..., None]
        page *= 1 - 0.55 * drop * (1 - inks[rng.integers(len(inks))])
    result: Array = page * (1 + 0.03 * grain[..., None])
    return result


SAMPLES: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "strokes": strokes,
    "mosaic": mosaic,
    "woodcut": woodcut,
    "washes": washes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "src/artune/bundled")
    parser.add_argument("--size", type=int, default=512)
    args = parser.parse_args()
    for seed, (name, paint) in enumerate(SAMPLES.items()):
        array = paint(np.random.default_rng(seed + 7), args.size)
        picture = Image.fromarray((np.clip(array, 0, 1) * 255 + 0.5).astype(np.uint8))
        picture = picture.resize((args.size, args.size), Image.Resampling.LANCZOS)
        picture.save(args.output / f"{name}.jpg", quality=90)


if __name__ == "__main__":
    main()
