"""Semantic transfer in feature space, decoded by one network (Lu et al. 2017)."""
