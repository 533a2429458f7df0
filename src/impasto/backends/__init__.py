"""The same networks on other engines: files that ONNX Runtime, browsers and OpenVINO read, and what runs them here."""
