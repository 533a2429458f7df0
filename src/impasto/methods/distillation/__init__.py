"""Stable film without optical flow (Chen et al., Optical Flow Distillation, ECCV 2020): a teacher with flow, a student without."""
