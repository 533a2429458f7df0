"""One painting job: what was asked for, what is decided of it, once, and how it is done over pictures and films."""
