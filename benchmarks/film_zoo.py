"""Films of every kind that FFmpeg's program makes: what artune reads of them, and what is in the films that it writes.

    python benchmarks/film_zoo.py [--only NAME ...] [--keep DIR]

Needs ``ffmpeg`` on the path. Each film is small, is read, and is written again without styling, to a container that can
hold it. The table tells, for each:

- codec, upright size, frames a second, bits, transparency; frames as the header tells, and as they were read;
- ``ffmpeg``: the mean difference of the frames that artune reads from those that ``ffmpeg`` reads, in levels of 8 bits,
  and ``-`` for animations, of which ``ffmpeg`` reads less;
- ``resumed``: whether the frames are the same, to the bit, when reading begins anew after a third and near the end;
- ``written``: the suffix, and how many frames come back;
- ``times``: the largest difference of a frame's time in the result, ms; ``end``: the same of the film's end;
- ``sound``: whether its packets are the same, byte by byte;
- or what was said of a film that cannot be read.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artune.errors import ArtuneError
from artune.video.formats import format_of
from artune.video.frames import Film, Frame
from artune.video.read import open_film
from artune.video.write import write_film, write_segment

SIZE = "96x64"
SOUND = "-f lavfi -i sine=frequency=440:duration=4:sample_rate=44100"
X265 = (
    "-color_primaries bt2020 -colorspace bt2020nc -c:v libx265 -pix_fmt yuv420p10le "
    "-x265-params log-level=none:colorprim=9:colormatrix=9"
)
X264 = "-c:v libx264 -g 20 -bf 2 -pix_fmt yuv420p"
SEGMENT = 25  # frames
MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}
"""Names that ``ffmpeg`` has for matrices."""


def moving(rate: str = "25", size: str = SIZE, seconds: float = 4) -> str:
    """FFmpeg's moving test picture."""
    return f"-f lavfi -i testsrc2=size={size}:rate={rate}:duration={seconds}"


def clear(rate: str = "25") -> str:
    """The same with a see-through part that moves."""
    return f"{moving(rate)} -vf format=yuva444p,geq=lum='p(X,Y)':cb='p(X,Y)':cr='p(X,Y)':a='mod(X*4+T*50,256)'"


FILMS = {
    "h264 23.976": ("a.mp4", f"{moving('24000/1001')} {SOUND} {X264} -c:a aac"),
    "h264 25 mov": ("a.mov", f"{moving()} {SOUND} {X264} -c:a aac"),
    "h264 29.97 mkv": ("a.mkv", f"{moving('30000/1001')} {SOUND} {X264} -c:a flac"),
    "h264 50": ("a.mp4", f"{moving('50')} {SOUND} {X264} -c:a ac3"),
    "h264 120": ("a.mp4", f"{moving('120')} {X264}"),
    "h264 open gop": ("a.mp4", f"{moving()} {X264} -x264-params open-gop=1:keyint=12:bframes=3:b-pyramid=normal"),
    "h264 intra refresh": ("a.mkv", f"{moving()} {X264} -x264-params intra-refresh=1:keyint=15:bframes=0"),
    "h264 raw stream": ("a.h264", f"{moving()} {X264}"),
    "h264 ts": ("a.ts", f"{moving()} {SOUND} {X264} -c:a aac"),
    "h264 two sounds": (
        "a.mkv",
        f"{moving()} {SOUND} {SOUND} -map 0 -map 1 -map 2 {X264} -c:a aac -metadata:s:a:0 language=deu",
    ),
    "h264 full range": ("a.mp4", f"{moving()} -vf scale=out_range=full -color_range pc {X264}"),
    "h264 709 tagged": (
        "a.mp4",
        f"{moving()} -vf scale=out_color_matrix=bt709 -colorspace bt709 -color_primaries bt709 -color_trc bt709 {X264}",
    ),
    "h264 720 lines untagged": (
        "a.mp4",
        f"{moving(size='1280x720', seconds=0.4)} -vf scale=out_color_matrix=bt709 {X264}",
    ),
    "h264 4:4:4": ("a.mkv", f"{moving()} -c:v libx264 -pix_fmt yuv444p"),
    "h264 rgb": ("a.mkv", f"{moving()} -c:v libx264rgb -pix_fmt rgb24"),
    "h264 grey": ("a.mkv", f"{moving()} -c:v libx264 -pix_fmt gray"),
    "h264 begins late": ("a.mkv", f"{moving()} {SOUND} {X264} -c:a aac -output_ts_offset 5"),
    "h264 vfr": (
        "a.mp4",
        f"{moving()} -vf select='not(eq(mod(n,5),2))+gt(n,30)*0',setpts='PTS+if(gt(N,20),1/TB,0)' -vsync vfr {X264}",
    ),
    "h264 sound begins first": ("a.mp4", f"-itsoffset 0.5 {moving()} {SOUND} {X264} -c:a aac"),
    "h264 anamorphic": ("a.mp4", f"{moving()} -vf setsar=64/45 {X264}"),
    "h264 interlaced": ("a.mp4", f"{moving()} {X264} -flags +ildct+ilme -x264-params tff=1"),
    "hevc": ("a.mp4", f"{moving()} {SOUND} -c:v libx265 -x265-params log-level=none -tag:v hvc1 -c:a aac"),
    "hevc 10 bit PQ": ("a.mkv", f"{moving()} {X265}:transfer=16 -color_trc smpte2084"),
    "hevc 10 bit HLG": ("a.mp4", f"{moving()} {X265}:transfer=18 -color_trc arib-std-b67 -tag:v hvc1"),
    "hevc 12 bit 4:2:2": ("a.mkv", f"{moving()} -c:v libx265 -pix_fmt yuv422p12le -x265-params log-level=none"),
    "vp8": ("a.webm", f"{moving()} {SOUND} -c:v libvpx -b:v 300k -c:a libvorbis"),
    "vp9": ("a.webm", f"{moving()} {SOUND} -c:v libvpx-vp9 -b:v 300k -c:a libopus"),
    "vp9 10 bit": ("a.webm", f"{moving()} -c:v libvpx-vp9 -b:v 300k -pix_fmt yuv420p10le"),
    "vp9 alpha": ("a.webm", f"{clear()},format=yuva420p -c:v libvpx-vp9 -b:v 300k -pix_fmt yuva420p -auto-alt-ref 0"),
    "vp8 alpha": ("a.webm", f"{clear()},format=yuva420p -c:v libvpx -b:v 300k -pix_fmt yuva420p -auto-alt-ref 0"),
    "av1": ("a.mp4", f"{moving()} -c:v libaom-av1 -cpu-used 8 -b:v 200k"),
    "mpeg-4 avi": ("a.avi", f"{moving()} {SOUND} -c:v mpeg4 -bf 2 -q:v 3 -c:a mp3"),
    "mpeg-2 ps": ("a.mpg", f"{moving()} {SOUND} -c:v mpeg2video -bf 2 -q:v 3 -c:a mp2"),
    "mpeg-2 ts": ("a.m2ts", f"{moving()} {SOUND} -c:v mpeg2video -bf 2 -q:v 3 -c:a ac3"),
    "wmv": ("a.wmv", f"{moving()} {SOUND} -c:v wmv2 -q:v 3 -c:a wmav2"),
    "flv": ("a.flv", f"{moving()} {SOUND} -c:v flv -q:v 3 -c:a mp3"),
    "ogv": ("centre.ogv", f"{moving()} {SOUND} -c:v libtheora -q:v 8 -c:a libvorbis"),
    "prores 422": ("a.mov", f"{moving()} {SOUND} -c:v prores_ks -profile:v 3 -c:a pcm_s16le"),
    "prores 4444 alpha": ("a.mov", f"{clear()},format=yuva444p10le -c:v prores_ks -profile:v 4 -pix_fmt yuva444p10le"),
    "ffv1": ("a.mkv", f"{moving()} {SOUND} -c:v ffv1 -c:a pcm_s16le"),
    "ffv1 16 bit alpha": ("a.mkv", f"{clear()},format=gbrap16le -c:v ffv1 -level 3 -pix_fmt gbrap16le"),
    "png in mov, alpha": ("a.mov", f"{clear()},format=rgba -c:v png"),
    "mjpeg avi": ("centre.avi", f"{moving()} {SOUND} -c:v mjpeg -q:v 3 -pix_fmt yuvj420p -c:a pcm_s16le"),
    "dv": ("a.dv", f"{moving(size='720x576', seconds=0.4)} -c:v dvvideo -pix_fmt yuv420p"),
    "rotated 90": ("rotate90.mp4", f"{moving()} {X264}"),
    "rotated 180": ("rotate180.mp4", f"{moving()} {X264}"),
    "rotated 270": ("rotate270.mp4", f"{moving()} {SOUND} {X264} -c:a aac"),
    "odd size": ("a.mkv", f"{moving(size='97x65').replace('testsrc2', 'testsrc')} -c:v libx264 -pix_fmt yuv444p"),
    "odd size 4:2:0": (
        "a.webm",
        f"{moving(size='97x65').replace('testsrc2', 'testsrc')} -c:v libvpx-vp9 -b:v 300k -pix_fmt yuv420p",
    ),
    "one frame": ("a.mp4", f"{moving()} -frames:v 1 {X264}"),
    "cover picture": ("cover.mp4", f"{moving()} {X264}"),
    "gif": ("a.gif", f"{moving('10')}"),
    "gif alpha": ("clear.gif", ""),
    "webp alpha": ("clear.webp", ""),
    "apng alpha": ("clear.png", ""),
    "avif": ("clear.avif", ""),
    "numbered pictures": ("%03d.png", f"{moving()}"),
    "numbered 16 bits": ("%03d.png", f"{moving()} -pix_fmt rgb48be"),
    "cut short mkv": ("cut.mkv", f"{moving(seconds=6)} {SOUND} {X264} -c:a aac"),
    "cut short mp4": ("cut.mp4", f"{moving(seconds=6)} {X264} -movflags +faststart"),
    "cut short mp4, no index": ("cut.mp4", f"{moving(seconds=6)} {X264}"),
    "broken in the middle": ("broken.mkv", f"{moving(seconds=6)} {X264}"),
    "sound alone": ("a.mp4", f"{SOUND} -c:a aac"),
    "sound with a cover": ("cover.mp4", f"{SOUND} -c:a aac"),
    "text": ("text.mp4", ""),
    "empty": ("empty.mp4", ""),
    "missing": ("missing.mp4", ""),
}
"""Name of the file, which also tells what is done to it, and the words that ``ffmpeg`` is given."""


def ffmpeg(*words: str) -> bytes:
    return subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *words], check=True, stdout=subprocess.PIPE
    ).stdout


def make(folder: Path, file: str, words: str) -> Path:
    """A film, made and then treated as its name says."""
    path = folder / file
    if words:
        ffmpeg(*words.split(), str(path))
    stem, suffix = path.stem, path.suffix
    if stem.startswith("rotate"):
        plain = path.rename(folder / f"plain{suffix}")
        ffmpeg("-i", str(plain), "-c", "copy", "-metadata:s:v", f"rotate={stem.removeprefix('rotate')}", str(path))
    elif stem == "cover":
        plain, cover = path.rename(folder / f"plain{suffix}"), folder / "cover.jpg"
        Image.new("RGB", (50, 50), "red").save(cover)
        ffmpeg(
            "-i",
            str(plain),
            "-i",
            str(cover),
            "-map",
            "1",
            "-map",
            "0",
            "-c",
            "copy",
            "-disposition:v:0",
            "attached_pic",
            str(path),
        )
    elif stem == "clear":
        y, x = np.mgrid[0:64, 0:96]
        frames = [
            Image.fromarray(np.stack([x * 2, y * 3, 0 * x + 20 * i, np.where(x > 8 * i, 255, 0)], -1).astype(np.uint8))
            for i in range(8)
        ]
        loss: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
        durations: Any = [40, 40, 60, 100, 40, 500, 40, 200]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, disposal=2, **loss)
    elif stem == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif stem == "broken":
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 900] = bytes(900)
        path.write_bytes(data)
    elif stem == "text":
        path.write_text("This is no film.\n" * 100)
    elif stem == "empty":
        path.write_bytes(b"")
    return path


def sounds(path: Path) -> list[list[bytes]]:
    """The packets of each sound."""
    with av.open(path) as container:
        found: list[list[bytes]] = [[] for _ in container.streams.audio]
        places = {stream.index: packets for stream, packets in zip(container.streams.audio, found, strict=True)}
        for packet in container.demux(*container.streams.audio):
            if packet.size:
                places[packet.stream.index].append(bytes(packet))
        return found


def as_ffmpeg(path: Path, film: Film, frames: list[Frame]) -> str:
    """The mean difference from what ``ffmpeg`` reads, levels of 8 bits."""
    scale = "scale=flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp:interl=-1"
    if film.info.colours is not None:  # of a film that does not tell, ffmpeg takes it to be 601, whatever its size
        scale += f":in_color_matrix={MATRICES[film.info.colours.matrix]}"
    with av.open(path) as container:
        pixels = container.streams.video[-1].codec_context.pix_fmt or ""
    if "centre" not in path.stem:  # elsewhere chroma stands at the left of two columns, which older ones do not heed
        scale += ":in_h_chr_pos=0:in_v_chr_pos=128" if "420" in pixels else ":in_h_chr_pos=0" if "422" in pixels else ""
    words = ("-vf", scale, "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    raw = ffmpeg("-noautorotate", "-i", str(path), "-map", "0:V:0", *words)
    quarters = int(path.stem.removeprefix("rotate")) // 90 if path.stem.startswith("rotate") else 0
    width, height = frames[0].picture.size[:: -1 if quarters % 2 else 1]
    if len(raw) % (width * height * 3):
        return "other size"
    want = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    if len(want) != len(frames):
        return f"{len(want)} frames"
    off = [
        np.abs(255 * each.picture.pixels - np.rot90(other, quarters)).mean()
        for each, other in zip(frames, want, strict=True)
    ]
    return f"{np.mean(off):.2f}"


def same(left: list[Frame], right: list[Frame]) -> bool:
    return [(each.number, each.time, each.picture.digest()) for each in left] == [
        (each.number, each.time, each.picture.digest()) for each in right
    ]


def resumed(film: Film, frames: list[Frame]) -> str:
    """Whether reading that begins in the middle gives the same frames."""
    if len(frames) < 3:
        return "-"
    for at in (len(frames) // 3, 4 * len(frames) // 5):
        if not same([*film.frames(after=frames[at].time, number=at + 1)], frames[at + 1 :]):
            return "no"
        if not same([*film.frames(start=frames[at].time, number=at)], frames[at:]):
            return "no"
    third = [*film.frames(every=3)]
    return "yes" if same([*film.frames(every=3, after=third[1].time, number=2)], third[2:]) else "no"


def written(film: Film, path: Path, frames: list[Frame], folder: Path) -> tuple[str, ...]:
    """Write a film again, and compare."""
    said = ""
    for suffix in (
        path.suffix if path.suffix in (".mp4", ".mov", ".mkv", ".webm", ".gif", ".webp", ".png") else ".mp4",
        ".mkv",
    ):
        out = folder / f"out{suffix}"
        try:
            form = format_of(out, film.info)
            break
        except ArtuneError as error:
            said = str(error)
    else:
        return (said,)
    segments = []
    for at in range(0, len(frames), SEGMENT):
        segments.append(folder / f"segment{at}.mkv")
        arrays: list[NDArray[Any]] = [
            each.picture.to_numpy(np.uint16 if form.bits > 8 else np.uint8) for each in frames[at : at + SEGMENT]
        ]
        write_segment(segments[-1], arrays, form)
    last = frames[-1].time + frames[-1].duration
    sound = path if film.info.sounds else None
    write_film(out, segments, [each.time for each in frames], last, form, sound, metadata=film.info.metadata)
    result = open_film(out, film.info.rate)
    back = [*result.frames()]
    off = max(abs(a.time - b.time) for a, b in zip(frames, back, strict=False))
    end = abs(last - back[-1].time - back[-1].duration)
    heard = "-"
    if sound is not None:
        heard = "yes" if sounds(path) == sounds(out) else "no"
        # AAC in MPEG-TS has a head of 7 bytes before each packet, for which other containers have no place
        if heard == "no" and [[each[7:] for each in packets] for packets in sounds(path)] == sounds(out):
            heard = "yes, without heads"
    notes = "; ".join((*film.info.notes, *form.notes))
    return (
        f"{suffix} {form.encoder.codec} {len(back)}",
        f"{float(1000 * off):.2f}",
        f"{float(1000 * end):.2f}",
        heard,
        notes,
    )


def row(name: str, folder: Path) -> list[str]:
    file, words = FILMS[name]
    path = make(folder, file, words)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            film = open_film(path)
            frames = [*film.frames()]
        except ArtuneError as error:
            return [name, str(error).replace(f"{folder}/", "")]
        info = film.info
        kind = "-"
        if path.suffix not in (".gif", ".webp", ".png", ".avif"):
            with av.open(path) as container:
                kind = container.streams.video[-1].codec_context.codec.canonical_name
        facts = [
            name,
            kind,
            f"{info.size[0]}x{info.size[1]}",
            f"{float(info.rate):.3f}",
            str(info.bits),
            "yes" if info.alpha else "no",
            f"{info.frames}/{len(frames)}",
            "-" if file.startswith(("clear", "%")) else as_ffmpeg(path, film, frames),
            resumed(film, frames),
            *written(film, path, frames, folder),
        ]
        said = {str(each.message).replace(f"{folder}/", "") for each in caught}
        return [*facts, *sorted(said)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[*FILMS], metavar="NAME", help="films to make; default: all")
    parser.add_argument("--keep", type=Path, help="a folder for the films")
    args = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        sys.exit("film_zoo: there is no ffmpeg on the path; install it to make the films")
    print("film | codec | size | rate | bits | alpha | frames | ffmpeg | resumed | written | times | end | sound")
    for name in args.only:
        with tempfile.TemporaryDirectory() as temporary:
            folder = args.keep / name.replace(" ", "-") if args.keep else Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            print(" | ".join(row(name, folder)), flush=True)


if __name__ == "__main__":
    main()
