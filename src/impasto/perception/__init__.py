"""Perception: the encoder, statistics of its features, and the perceptual loss."""
