"""The baselines of the papers' tables, one file each."""
