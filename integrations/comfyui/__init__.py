"""Impasto in ComfyUI: the folder is a package of custom nodes after the V3 schema."""

from .nodes import comfy_entrypoint

__all__ = ["comfy_entrypoint"]
