"""Running stylizers: device and precision, loading encoders once, and the engine over files."""
