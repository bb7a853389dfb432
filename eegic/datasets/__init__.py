"""Data to work with: simulated studies whose truth is known, scores played as sound, and public data sets.

The rooms:

- here: simulated studies (`simulate_study`, `write_study`), their melodies (`MelodyGrammar`, `MelodyCorpus`) and sounds
  (`synthesise`);
- `scores`: notes from MIDI files (`read_midi`), their sound (`render_midi`), and whether it is the one that was heard
  (`check_rendering`);
- `public`: data sets of others: what is known of them (`load_manifest`), their files (`fetch`, `verify`, `status`), and
  their participants and sounds (`load_participant`, `read_stimulus`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
