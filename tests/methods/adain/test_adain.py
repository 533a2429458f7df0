"""AdaIN against its formula, and its promises as a stylizer."""

import pytest
import torch

from impasto.errors import InputError
from impasto.methods.adain.adain import Adain
from impasto.methods.adain.settings import AdainSettings


def picture(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_features_take_the_means_and_deviations_of_the_style(decoder, encoder, cpu, monkeypatch):
    """Eq. 8: sigma(y) (x - mu(x)) / sigma(x) + mu(y), channel by channel."""
    seen = {}
    stylizer = Adain(decoder, encoder, cpu, [picture(96, 96, 1)], style_size=96)
    monkeypatch.setattr(stylizer._coding, "decoded", lambda features, layer: seen.update({layer: features}) or picture(80, 64))
    photo = picture(80, 64)
    stylizer(photo)
    own, style = encoder(photo, ["relu4_1"])["relu4_1"], encoder(picture(96, 96, 1), ["relu4_1"])["relu4_1"]
    moments = [(f.mean((2, 3), keepdim=True), f.var((2, 3), keepdim=True, unbiased=False).sqrt()) for f in (own, style)]
    expected = moments[1][1] * (own - moments[0][0]) / moments[0][1].clamp_min(1e-3) + moments[1][0]
    lively = (moments[0][1] > 0.05).flatten()  # where a channel is nearly constant, the regularised variance decides
    assert lively.any()
    torch.testing.assert_close(seen["relu4_1"][:, lively], expected[:, lively], atol=0.05, rtol=0.05)


def test_sizes_strength_and_several_styles(decoder, encoder, cpu):
    photo, styles = picture(50, 70), [picture(64, 64, 1), picture(64, 64, 2)]
    both = Adain(decoder, encoder, cpu, styles, [0.25, 0.75])(photo)
    assert both.shape == photo.shape
    one, other = (Adain(decoder, encoder, cpu, [style])(photo) for style in styles)
    assert not torch.equal(one, other)
    torch.testing.assert_close(Adain(decoder, encoder, cpu, styles, [1, 0])(photo), one, atol=1e-4, rtol=0)
    assert torch.equal(Adain(decoder, encoder, cpu, styles[:1], settings=AdainSettings(strength=0.0))(photo), photo)


def test_what_cannot_be_is_refused(decoder, encoder, cpu):
    with pytest.raises(InputError, match="whole pictures"):
        Adain(decoder, encoder, cpu, [picture(64, 64)])(picture(64, 64), masks=torch.ones(1, 1, 64, 64))
    with pytest.raises(InputError, match="no layer 'relu5_1'"):
        AdainSettings(layer="relu5_1")
    with pytest.raises(InputError, match="strength goes from 0"):
        AdainSettings(strength=2.0)
