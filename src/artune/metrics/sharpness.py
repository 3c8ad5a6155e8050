"""How sharp a picture is."""

from scipy.ndimage import laplace

from artune.images.color import STEP, to_yiq
from artune.images.picture import Picture


def sharpness(picture: Picture) -> float:
    """Standard deviation of the Laplacian of the luminance (Pech-Pacheco et al. 2000, who take its square).

    The Laplacian is the sum of the four neighbours less four times the pixel, for luminance in [0, 1]: 0 for a flat
    picture, 4 for a chessboard of single pixels. Noise counts as sharp.
    """
    return float(laplace(to_yiq(picture.filled())[..., 0], mode="mirror").std())


def relative_sharpness(result: Picture, content: Picture) -> float:
    """Sharpness of the result over that of the photograph at its size: 1 for the photograph, 0 for a flat picture.

    That of the photograph is taken for at least one 8-bit step.
    """
    return sharpness(result) / max(sharpness(content.resized(*result.size)), STEP)
