"""NPRgeneral: twenty photographs to compare styles with (Mould and Rosin 2017, "Developing and applying a benchmark for
evaluating image stylization", Computers & Graphics 67). They are downloaded, and not part of artune.
"""

import hashlib
from pathlib import Path

from artune.assets import Asset, fetch
from artune.errors import InputError, UnknownNameError, WeightsError

HOME = "http://gigl.scs.carleton.ca/sites/default/files/"
PICTURES = {
    "angel": "41b058edd2091eec467d37054a8c01fb",
    "arch": "9378e3a129f021548ba26b99ae445ec9",
    "athletes": "6b742bd1b46bf9882cc176e0d255adab",
    "barn": "32abf24dd439940cf9a1265965b5e910",
    "berries": "58fea65145fa0bd222800d4f8946d815",
    "cabbage": "19304a80d2ca2389153562700f0aab53",
    "cat": "de3331050c660e688463fa86c76976c4",
    "city": "84e17b078ede986ea3e8f70e0a24195e",
    "daisy": "f3901d987490613238ef01977f9fac77",
    "darkwoods": "f4ccbf37b3d5d3a1ca734bb65464151b",
    "desert": "4a9db691d203dd693b14090b9e49f791",
    "headlight": "1d4723535ea7dee84969f0c082445ad5",
    "mac": "4df4e0dafe5468b86138839f68beb84d",
    "mountains": "1ea43310f2d85b271827634c733b6257",
    "oparara": "1adcc54d9a390b2492ee6e71acac13fd",
    "rim": "8878a60ccd81e7b2ff05089cdf54773b",
    "snow": "60d55728e28d39114d0035c04c9e4495",
    "tomato": "3ffcdc427060171aabf433181cef7c52",
    "toque": "34fcf032b5d87877a7fc95629efb94e8",
    "yemeni": "dd1e81d885cdbdd44f8d504e3951fb48",
}
"""Names of the photographs -> md5 of their files, as others have published it."""


def nprgeneral(name: str) -> Path:
    """The file of a photograph, from the cache or downloaded.

    Raises:
        UnknownNameError: there is none of that name.
        InputError: it cannot be downloaded, or is another file.
    """
    if name not in PICTURES:
        raise UnknownNameError("photograph of NPRgeneral", name, PICTURES)
    file = f"{name}1024.jpg"
    asset = Asset(f"nprgeneral-{file}", "", "not stated; see the benchmark", f"{HOME}{file}", "Mould and Rosin 2017")
    try:
        path, _ = fetch(asset, what=f"NPRgeneral's {name}", otherwise="give your own copies as `folder`")
    except WeightsError as error:
        raise InputError(str(error)) from error
    if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != PICTURES[name]:
        raise InputError(f"{path} is not NPRgeneral's {name}: its md5 differs; remove the file and try again")
    return path
