from . import datasets as datasets
from . import stats as stats
from . import trf as trf
from .audio import Audio as Audio
from .audio import read_audio as read_audio
from .eeg import Participant as Participant
from .eeg import Trial as Trial
from .features import envelope as envelope
from .series import FeatureSeries as FeatureSeries
from .viz import plot_features as plot_features
from .viz import plot_topography as plot_topography
from .viz import plot_trf as plot_trf

__version__: str
