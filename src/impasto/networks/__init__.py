"""Networks that several methods share: the style network and the decoder, their files, mixtures and stylizers."""
