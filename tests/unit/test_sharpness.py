import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from artune.images.picture import Picture
from artune.metrics.sharpness import relative_sharpness, sharpness


def test_known_pictures():
    board = np.indices((16, 16)).sum(0) % 2
    chess = Picture(np.repeat(board[..., None], 3, 2).astype(np.float32))
    assert sharpness(chess) == pytest.approx(4, rel=1e-5)
    assert sharpness(Picture(np.full((9, 7, 3), 0.3, np.float32))) == pytest.approx(0, abs=1e-6)


def test_against_opencv(photo):
    cv2 = pytest.importorskip("cv2")
    luminance = (photo.pixels @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.float32)
    assert sharpness(photo) == pytest.approx(float(cv2.Laplacian(luminance, cv2.CV_32F).std()), rel=1e-4)


def test_beside_the_photograph(photo):
    blurred = Picture(gaussian_filter(photo.pixels, (1, 1, 0)))
    assert relative_sharpness(photo, photo) == 1
    assert relative_sharpness(blurred, photo) == pytest.approx(sharpness(blurred) / sharpness(photo))
    assert relative_sharpness(blurred, photo) < 0.5
    large = photo.resized(96, 64)
    assert relative_sharpness(photo, large) == sharpness(photo) / sharpness(large.resized(48, 32))
    flat = Picture(np.full((9, 7, 3), 0.3, np.float32))
    assert relative_sharpness(flat, flat) == pytest.approx(0, abs=1e-3)
