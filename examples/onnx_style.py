"""A photograph in a trained style, by the files of ``artune export STYLE.safetensors``: no artune, no PyTorch.

python examples/onnx_style.py MODEL_FOLDER photo.jpg out.png
"""

import sys

import numpy as np
import onnxruntime as ort
from PIL import Image, ImageOps

folder, photo, out = sys.argv[1:]
image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
image.thumbnail((512, 512))
pixels = np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255
(picture,) = ort.InferenceSession(f"{folder}/network.onnx").run(None, {"photograph": pixels})
Image.fromarray((picture[0].transpose(1, 2, 0) * 255).round().astype(np.uint8)).save(out)
