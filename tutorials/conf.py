"""Build the gallery and the reference: ``python -m sphinx -W --keep-going -b html tutorials tutorials/_build/html``."""

import os
import warnings

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", MPLBACKEND="Agg")

import eegic

project = "eegic"
author = "the eegic developers"
copyright = "2026, the eegic developers"
version = release = eegic.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "GALLERY_HEADER.rst", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
default_role = "code"
# the build opens no connection: no intersphinx, and what cannot be resolved stays plain text

autosummary_generate = True
autosummary_imported_members = False
autodoc_typehints = "none"  # numpydoc sections state types, with shapes and units
autodoc_preserve_defaults = True  # a name is shorter than the grid it stands for
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "eegic"
html_show_sourcelink = False
html_sidebars = {"index": [], "api": []}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}

sphinx_gallery_conf = {
    "examples_dirs": ["."],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"plot_\d",
    "ignore_pattern": r"conf\.py",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("eegic",),
    "capture_repr": (),  # figures speak for themselves, and prints are meant
    "reset_modules": ("matplotlib",),
    "reset_modules_order": "both",
    "abort_on_example_error": False,  # keep going and fail at the end, with every broken tutorial named
    "min_reported_time": 1,
    "show_memory": False,
    "write_computation_times": False,  # its page asks other hosts for scripts
    "download_all_examples": False,
    "show_signature": False,
    "copyfile_regex": r"^$",
    "remove_config_comments": True,
}
suppress_warnings = ["config.cache"]  # the gallery's configuration is not compared between builds

warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive", category=UserWarning)
