"""Motion between frames: optical flow, warping, which places can be traced, and the stability of a film."""
