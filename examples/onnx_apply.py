"""A photograph in the style of a painting, by the files of ``artune export painter``: no artune, no PyTorch.

python examples/onnx_apply.py MODEL_FOLDER photo.jpg painting.jpg 0.7 out.png
"""

import sys

import numpy as np
import onnxruntime as ort
from PIL import Image, ImageOps


def read(path, size=None):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    size = size or min(512, max(image.size))
    image = ImageOps.contain(image, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255


folder, photo, painting, strength, out = sys.argv[1:]
reader, painter = (ort.InferenceSession(f"{folder}/{name}.onnx") for name in ("painting", "painter"))
content = read(photo)
(style,) = reader.run(None, {"painting": read(painting, max(content.shape))})
inputs = {"photograph": content, "style": style, "strength": np.float32([float(strength)])}
(picture,) = painter.run(None, inputs)
Image.fromarray((picture[0].transpose(1, 2, 0) * 255).round().astype(np.uint8)).save(out)
