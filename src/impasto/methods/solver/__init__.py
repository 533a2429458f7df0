"""The Flexible Convolutional Solver (Puy and Perez, CVPR 2019): unrolled gradient descent, rewired at run time."""
