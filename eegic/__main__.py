"""`python -m eegic` is `eegic`."""

from eegic.cli import main

main()
