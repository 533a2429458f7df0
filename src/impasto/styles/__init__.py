"""Styles and weights: the style file, and the registry of what is bundled, cached or can be fetched."""
