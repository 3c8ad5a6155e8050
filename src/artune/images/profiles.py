"""Colour profiles (ICC): pictures are converted to sRGB, in which artune computes."""

import io
import struct

import numpy as np
from PIL import Image, ImageCms

from artune.images.picture import Floats, floats

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Pillow's modes of pictures, by the colour model of their profiles."""

_MODELS = {1: "GRAY", 3: "RGB", 4: "CMYK"}
"""Colour models by the number of channels."""

_SAME = 2
"""Largest difference, in 8-bit steps, of a profile that counts as sRGB."""


def srgb_profile() -> bytes:
    """The sRGB profile that every result carries, with a fixed date, so that equal pictures are equal files."""
    profile: bytes = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    return profile[:24] + made + profile[36:]


def differs_from_srgb(profile: bytes | None) -> bool:
    """Whether a profile shows other colours than sRGB. Its colours are compared, because its name may be wrong."""
    model = _model(profile)
    if profile is None or not model:
        return False
    if model == "CMYK":
        return True
    steps = np.linspace(0, 255, 6).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(6, 36, 3)
    sample = Image.fromarray(cube if model == "RGB" else np.tile(steps, (6, 1)))
    shown = np.asarray(image_to_srgb(sample, profile)).astype(int)
    return bool(np.abs(shown - np.asarray(sample.convert("RGB"))).max() > _SAME)


def image_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """An 8-bit picture converted to sRGB; unchanged if the profile is damaged or for another colour model."""
    if image.mode != _MODES.get(_model(profile)):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image
    return converted or image


def samples_to_srgb(samples: Floats, profile: bytes | None = None) -> Floats:
    """Samples converted to sRGB, with 16 bits if there is a profile to apply.

    Args:
        samples: ``[h, w, 1 | 3 | 4]`` in [0, 1]: grey, RGB or CMYK (1 is all ink).
        profile: of the picture; one that is damaged, or for another colour model, is ignored.

    Returns:
        ``[h, w, 3]``.
    """
    model = _MODELS[samples.shape[2]]
    if profile is not None and _model(profile) == model and differs_from_srgb(profile):
        import imagecodecs

        deep = (samples * 65535 + 0.5).astype(np.uint16)
        try:
            shown = imagecodecs.cms_transform(
                deep[..., 0] if model == "GRAY" else deep,
                profile,
                srgb_profile(),
                colorspace=model.lower(),
                outcolorspace="rgb",
                intent=imagecodecs.CMS.INTENT.PERCEPTUAL,
                # what the library calls optimised is a coarse table: wrong by up to 20 steps of 8 bits
                flags=imagecodecs.CMS.FLAGS.NOOPTIMIZE,
            )
            return floats(shown / np.float32(65535))
        except imagecodecs.CmsError:
            pass
    if model == "CMYK":
        return floats((1 - samples[..., :3]) * (1 - samples[..., 3:]))
    return floats(samples if model == "RGB" else np.repeat(samples, 3, axis=2))


def _model(profile: bytes | None) -> str:
    """The colour model that a profile is for; empty if it is damaged, or for a model that is not read here."""
    try:
        model = ImageCms.ImageCmsProfile(io.BytesIO(profile or b"")).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError):
        return ""
    return model if model in _MODES else ""
