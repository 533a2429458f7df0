"""The studio: a page to paint in, and the same calls over HTTP."""
