"""The public names of artune, and where each is defined; ``__init__.py`` loads them from this list."""

from .api import load_style as load_style
from .api import prepare as prepare
from .api import style as style
from .api import tune as tune
from .backbones.network import Network as Network
from .balance.curve import Balance as Balance
from .balance.curve import Reason as Reason
from .balance.ladder import Tuning as Tuning
from .errors import ArtuneError as ArtuneError
from .images.picture import Picture as Picture
from .images.read import read_picture as read_picture
from .judges.embedding import Judge as Judge
from .networks.export import export as export
from .networks.export import export_network as export_network
from .recipes import find_recipe as find_recipe
from .regions.segment import load_segmenter as load_segmenter
from .spec.style import WCT as WCT
from .spec.style import ColorOnly as ColorOnly
from .spec.style import Instant as Instant
from .spec.style import Optimise as Optimise
from .spec.style import StyleSpec as StyleSpec
from .spec.style import Trained as Trained
from .transfer.inputs import Keep as Keep
from .transfer.inputs import Masked as Masked
from .transfer.inputs import RegionStyle as RegionStyle
from .transfer.prepared import Prepared as Prepared
from .transfer.result import Result as Result
from .transfer.run import Progress as Progress
from .transfer.trained_style import TrainedStyle as TrainedStyle
from .video.film import FilmPart as FilmPart
from .video.film import style_film as style_film
from .video.stylise import FilmProgress as FilmProgress

__version__: str
