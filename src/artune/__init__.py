"""Style transfer that tunes itself.

import artune

artune.style("photo.jpg", "painting.jpg").save("out.png")

The public names stand in ``__init__.pyi``. Each is loaded when it is first used: importing artune imports no torch.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
