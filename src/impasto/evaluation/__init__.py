"""Measuring stylizers: how faithful to the style, and how fast."""
