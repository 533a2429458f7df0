"""Every file that is no picture: tensors with their note, style files, weights of methods, and the registry of what there is."""
