"""A consistency autoencoder of sound: from samples to a few numbers per tenth of a second, and back.

`config`
    Sizes and constants, and how they are read off weights.
`spectrum`
    Sound to compressed spectrogram and back.
`networks`
    Encoder, decoder and U-Net in the Music2Latent format.
`consistency`
    Coefficients, noise schedule, decoding in one call or several.
`streaming`
    Features of a long sound block by block, equal to those of the whole.
`codec`
    The codec as one uses it: `load_codec`, `Codec.encode`, `Codec.decode`.
`training`
    `train_codec`: the loss by which it learns.
`augment`
    What training does to latents and sound: noise, gains, mixtures.
"""

from eegic.codec.codec import CHUNKS, Codec, load_codec
from eegic.codec.config import BOTTLENECKS, CodecConfig

__all__ = ["BOTTLENECKS", "CHUNKS", "Codec", "CodecConfig", "load_codec"]
