"""One network for one painting, trained from scratch (Johnson, Alahi and Fei-Fei, ECCV 2016): the baseline."""
