from . import datasets as datasets
from . import stats as stats
from . import trf as trf
from .audio import Audio as Audio
from .audio import read_audio as read_audio
from .derivatives import to_bids_derivative as to_bids_derivative
from .eeg import Cnd as Cnd
from .eeg import Onsets as Onsets
from .eeg import Pairs as Pairs
from .eeg import Participant as Participant
from .eeg import Trial as Trial
from .eeg import find_onsets as find_onsets
from .eeg import pair_features as pair_features
from .eeg import read_bids as read_bids
from .eeg import read_cnd as read_cnd
from .eeg import read_participant as read_participant
from .eeg import write_cnd as write_cnd
from .features import envelope as envelope
from .results import Tracking as Tracking
from .series import FeatureSeries as FeatureSeries
from .tracking import cortical_tracking as cortical_tracking
from .viz import plot_features as plot_features
from .viz import plot_null as plot_null
from .viz import plot_topography as plot_topography
from .viz import plot_trf as plot_trf

__version__: str
