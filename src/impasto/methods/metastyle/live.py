"""Networks for live films: a sixth of the work, learned from a style's large network."""

LIVE = {"width": 32, "blocks": 3, "patch": 2, "grain": 0.0}
"""The network: 24,384 multiply-adds a pixel and 278,796 weights, where the large one has 153,792 and 1,679,235."""
