"""Data sets of others: what is known of them, how their files come here, how they are read.

- What is known: `manifest` finds and loads manifests, `models` says what they may hold, `tables` reads their tables,
  `errors` tells what is wrong, `maker` makes them of a folder or of a clone that `annex` understands.
- How files come here: `fetch` is the entrance and `fetch_job` its work; `download` brings files, `archives` unpacks
  them, `landing` puts them in their places.
- How they are read: `loaders` is the entrance, `places` says where files lie; `layout_bids`, `layout_cnd` and
  `layout_fif` know the layouts, `played` what was heard where it is one file in step with the recording.
"""
