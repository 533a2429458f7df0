"""Neural patch swap (Chen and Schmidt 2016): the photo made of patches of the painting's features."""
