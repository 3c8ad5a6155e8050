"""Edges of pictures."""

import numpy as np

from artune.data.edges import edges


def test_a_step_is_a_line_and_a_flat_picture_none():
    step = np.zeros((20, 20, 3), np.float32)
    step[:, 10:] = 0.9
    lines = edges(step)
    assert lines.shape == (20, 20, 3)
    assert lines.dtype == np.float32
    inside = lines[3:-3, :, 0]
    assert np.flatnonzero(inside.all(0)).tolist() == [9, 10]  # equally near to the step
    assert inside.sum() == 2 * len(inside)
    assert (lines[..., 0] == lines[..., 2]).all()
    assert edges(np.full((20, 20, 3), 0.5, np.float32)).sum() == 0


def test_the_edge_of_a_colour_counts_by_its_luma():
    colour = np.zeros((20, 20, 3), np.float32)
    colour[:, 10:, 1] = 0.9
    assert edges(colour).any()
    equal = np.zeros((20, 20, 3), np.float32)  # 0.299 r = 0.587 g
    equal[:, :10, 0], equal[:, 10:, 1] = 0.9, 0.9 * 0.299 / 0.587
    assert not edges(equal).any()


def test_denoising_takes_lines_of_noise_and_leaves_the_form(rng):
    step = np.full((40, 40, 3), 0.2, np.float32)
    step[:, 20:] = 0.8
    noisy = np.clip(step + 0.12 * rng.standard_normal(step.shape), 0, 1).astype(np.float32)
    plain, denoised = edges(noisy)[..., 0], edges(noisy, denoise=True)[..., 0]
    away = np.r_[0:16, 24:40]
    assert denoised[:, away].sum() < 0.5 * plain[:, away].sum()
    assert denoised[3:-3, 17:23].any(1).mean() > 0.9
