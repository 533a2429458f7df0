"""Style transfer by optimisation of the picture itself (Gatys, Ecker and Bethge, CVPR 2016)."""
