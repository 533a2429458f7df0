"""Pictures in and out. Nothing else opens, decodes, encodes or writes a picture."""
