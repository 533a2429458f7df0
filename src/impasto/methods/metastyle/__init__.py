"""MetaStyle (Zhang, Zhu and Zhu, AAAI 2019): a network that learns any painting in seconds and then paints in real time."""
