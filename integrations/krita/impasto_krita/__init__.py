"""A plug-in of Krita: the image, or its selection, painted by a studio of Impasto, becomes a new layer."""

from krita import Krita

from .extension import Impasto

Krita.instance().addExtension(Impasto(Krita.instance()))
