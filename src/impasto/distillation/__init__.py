"""Stable film without optical flow (Chen et al., Optical Flow Distillation, ECCV 2020): a teacher that uses flow, a student that does not."""
