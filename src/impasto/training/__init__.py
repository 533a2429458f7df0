"""What trainings share, and the training of the compact encoder."""
