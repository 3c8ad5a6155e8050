"""The bundled judge: how surely is a picture recognised as painted like one painting, and as showing one photograph?

It sees pictures through the compact network, whose deep features hold strokes and forms, and not only colours. The
*margin* of the style: their moments embed a picture by its style, and a picture in the style of its painting is nearer
to this painting than to the photograph and to a bank of other paintings. The *change* of the layout: how far features
have moved from where they lie in the photograph. Fits to labels make probabilities of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune.assets import JUDGE, fetch, read_weights
from artune.backbones.base import Features, Image
from artune.backbones.compact import Compact
from artune.backbones.registry import load_network
from artune.errors import InputError, WeightsError
from artune.files import file_digest
from artune.losses import moments as fn
from artune.losses.objective import at_tap
from artune.losses.protocol import Mask
from artune.spec.style import JUDGED_METHODS

SIDE = 256
"""Height and width at which a picture is seen, whatever its shape: so layouts can be compared."""
STYLE_TAP = "relu4_1"
"""Tap of the compact network whose features have the style."""
LAYOUT_TAP = "relu5_1"
"""Tap of the compact network whose features have the layout."""
COPY = 0.98
"""Cosine from which on two pictures are taken for copies, or to have the same style: different paintings of the bank
reach 0.96."""


class StyleCalibration(NamedTuple):
    """From the margin of the style to the probability that it is recognised: logistic, fitted to labels.

    Attributes:
        margin: weight of the margin.
        bias: added.
    """

    margin: float
    bias: float

    def probability(self, margins: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
        """Probability that the style is recognised."""
        return torch.sigmoid(self.margin * margins + self.bias)


class ContentCalibration(NamedTuple):
    """From the change of the layout to the probability that the content is recognised: logistic, fitted to labels.

    Attributes:
        change: weight of the change.
        log_odds: weight of the log odds of the strength.
        bias: added.
    """

    change: float
    log_odds: float
    bias: float

    def probability(self, changes: Float[Tensor, "b"], log_odds: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
        """Probability that the content is recognised."""
        return torch.sigmoid(self.change * changes + self.log_odds * log_odds + self.bias)


class Calibrations(NamedTuple):
    """The calibrations of both sides."""

    style: StyleCalibration
    content: ContentCalibration


@dataclass(frozen=True, eq=False)
class Judge:
    """The judge, its bank of other paintings, and its calibrations.

    Attributes:
        encoder: the compact network, which sees pictures.
        basis: directions of its features that styles are compared in, orthonormal, ``[c, k]``.
        styles: style embeddings of other paintings, ``[n, d]``.
        calibrations: by the kind of the method that makes the result.
        digest: sha256 of the judge's file.
    """

    encoder: Compact
    basis: Float[Tensor, "c k"]
    styles: Float[Tensor, "n d"]
    calibrations: Mapping[str, Calibrations]
    digest: str = ""

    @classmethod
    def load(cls, path: Path | None = None) -> "Judge":
        """The judge that travels with the package, or one from a file made by ``training/judge.py``.

        Raises:
            WeightsError: the file is damaged, missing, or holds something else.
        """
        if path is None:
            path, digest = fetch(JUDGE, network="the judge")
            tensors = read_weights(path)
        else:
            tensors, digest = read_weights(path), file_digest(path)
        try:
            basis, styles = (tensors[name].float() for name in ("basis", "bank.style"))
            calibrations = {
                kind: Calibrations(
                    StyleCalibration(*tensors[f"calibration.{kind}.style"].tolist()),
                    ContentCalibration(*tensors[f"calibration.{kind}.content"].tolist()),
                )
                for kind in JUDGED_METHODS
            }
        except (KeyError, TypeError) as error:
            raise WeightsError(f"{path} holds no judge; leave it out, or give one made by training/judge.py") from error
        return cls(bundled_encoder(), basis, styles, calibrations, digest)

    def with_bank(self, places: Sequence[int]) -> "Judge":
        """The same judge with a part of its bank.

        Args:
            places: which paintings of the bank to keep; at least two.

        Raises:
            InputError: fewer than two.
        """
        if len(places) < 2:
            raise InputError(f"a bank of {len(places)} paintings tells no style; keep at least two")
        return replace(self, styles=self.styles[torch.as_tensor(places)])

    @torch.no_grad()
    def see(self, image: Image) -> Features:
        """Features of pictures of any size, from which styles and layouts are made.

        Args:
            image: ``[b, 3, h, w]``, sRGB in [0, 1].
        """
        image = image.float().cpu()
        if image.shape[-2:] != (SIDE, SIDE):
            image = F.interpolate(image, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        found: Features = self.encoder(image.contiguous(memory_format=torch.channels_last), (STYLE_TAP, LAYOUT_TAP))
        return found

    def style(self, seen: Features, mask: Mask | None = None) -> Float[Tensor, "b d"]:
        """Style embeddings, of length 1: mean and covariance of the features in the directions of the basis.

        Args:
            seen: what ``see`` returns.
            mask: ``[1, 1, h, w]`` in [0, 1]: the part of the picture that counts.
        """
        return style_of(seen[STYLE_TAP], self.basis, mask)

    @staticmethod
    def layout(seen: Features) -> Float[Tensor, "b n"]:
        """Layouts, of length 1: features less their mean over the picture.

        Args:
            seen: what ``see`` returns.
        """
        deep = seen[LAYOUT_TAP]
        return F.normalize((deep - deep.mean((2, 3), keepdim=True)).flatten(1), dim=1)


def bundled_encoder() -> Compact:
    """The compact network that travels with the package."""
    encoder, _ = load_network("compact", dtype=torch.float32)
    assert isinstance(encoder, Compact)
    return encoder


@torch.no_grad()
def style_of(
    features: Float[Tensor, "b c i j"], basis: Float[Tensor, "c k"], mask: Mask | None = None
) -> Float[Tensor, "b d"]:
    """Style embeddings from features; see ``Judge.style``."""
    along = torch.einsum("bchw,ck->bkhw", features, basis)
    at = at_tap(mask, *along.shape[-2:])
    if at is not None:
        at = at.clamp(min=1e-6)  # a small part may vanish at the tap
    mean, covariance = (each.float() for each in fn.mean_and_covariance(fn.moments(along, at)))
    rows, columns = torch.triu_indices(*covariance.shape[1:])
    upper = covariance[:, rows, columns] * torch.where(rows == columns, 1.0, 2**0.5)  # its norm is that of the matrix
    return torch.cat([F.normalize(mean, dim=1), F.normalize(upper, dim=1)], 1) / 2**0.5


def margin(found: Tensor, own: Tensor, others: Tensor, bank: Tensor) -> Float[Tensor, "b"]:
    """How much nearer each embedding is to its own one than to any other: (d - o) / (d + o), in [-1, 1].

    o is the distance to the own one, d the distance to the nearest of the others and the bank, each 1 less the cosine.
    Pictures of the bank that are copies of the own one are left out.

    Args:
        found: embeddings ``[b, d]`` of length 1.
        own: the embedding that they should be recognised as, ``[1, d]``.
        others: embeddings that they could be taken for, such as the photograph's, ``[n, d]``; each counts.
        bank: embeddings of pictures that have nothing to do with them, ``[m, d]``.
    """
    strangers = bank[(bank @ own[0]) < COPY]
    away = 1 - found @ own[0]
    other = 1 - (found @ torch.cat([others, strangers]).T).amax(1)
    return (other - away) / (other + away).clamp(min=1e-9)


def change(layouts: Tensor, own: Tensor) -> Float[Tensor, "b"]:
    """How far layouts ``[b, n]`` have moved from that of the photograph ``[1, n]``: 1 less the cosine, in [0, 2]."""
    return 1 - layouts @ own[0]
