"""The documentation site: `make docs` builds it from these pages and the docstrings."""

from importlib.metadata import version as installed

project = "Impasto"
version = release = installed("impasto")
copyright = "The Impasto developers"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Impasto"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
