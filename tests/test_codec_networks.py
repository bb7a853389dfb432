"""Inside the codec: spectrogram, networks in the public format, consistency, and blocks that add up to the whole."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from eegic import _devices
from eegic.codec import CodecConfig, consistency, spectrum, streaming
from eegic.codec.codec import _CONTEXT
from eegic.codec.networks import Down, Encoder, UNet, sinusoids

REFERENCE = Path(__file__).parent / "references" / "codec.npz"
DEEP = CodecConfig(  # as deep as the public size, and as far-reaching, but narrow
    n_fft=64,
    hop=16,
    channels=(8, 8, 8, 8, 8),
    heads=2,
    bottleneck_channels=16,
    dim=4,
    embedding=8,
)


def networks(config, seed=0):
    """Random networks in evaluation mode, with normalisations and factors that are not neutral."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        unet = UNet(config)
    state = {}
    for key, tensor in unet.state_dict().items():
        a = torch.randn(tensor.shape, generator=generator)
        if a.ndim > 1 and not key.endswith("gain.scale"):
            state[key] = a / tensor.shape[1:].numel() ** 0.5
        else:
            state[key] = 0.05 * a if key.endswith("bias") else 1 + 0.1 * a
    unet.load_state_dict(state, assign=True)
    return unet.eval()


def spectrograms(config, n_latents, n=1, seed=0):
    """Noise whose level, and mean, rise over time: no two stretches have the same statistics."""
    n_frames = n_latents * config.frames_per_latent
    x = torch.randn(n, 2, config.n_bins, n_frames, generator=torch.Generator().manual_seed(seed))
    return (x + 0.3) * torch.linspace(0.2, 3, n_frames)


def without_norms(module):
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.GroupNorm):
                setattr(parent, name, nn.Identity())
    return module


class TestSpectrum:
    config = CodecConfig()

    def test_formula(self, rng):
        """Against the definition, in numpy and float64."""
        sound = 0.2 * rng.standard_normal(2048 + 5 * 512) + 0.1
        ours = spectrum.analyse(torch.from_numpy(sound), self.config).numpy()
        assert ours.shape == (2, 1024, 6)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
        for frame in (0, 3, 5):
            x = np.fft.rfft(window * sound[512 * frame : 512 * frame + 2048])[:1024]
            expected = 0.34 * np.abs(x) ** 0.65 * np.exp(1j * np.angle(x))
            np.testing.assert_allclose(ours[0, :, frame] + 1j * ours[1, :, frame], expected, rtol=0, atol=1e-7)

    def test_there_and_back(self):
        """Inside, sound returns; at the edges it fades by the share of the windows that are there."""
        n = 40 * 512 + 1536
        tone = torch.sin(2 * torch.pi * 440 * torch.arange(n) / 44100)
        both = torch.stack((tone, 0.3 * tone.flip(0)))
        back = spectrum.synthesise(spectrum.analyse(both, self.config), self.config)
        assert back.shape == both.shape
        assert spectrum.n_samples(40, self.config) == n
        torch.testing.assert_close(back[:, 1536:-1536], both[:, 1536:-1536], rtol=0, atol=2e-6)
        published = {256: 0.015, 512: 0.17, 1024: 0.84, 1535: 0.99}
        for sample, gain in published.items():
            near = slice(sample - 25, sample + 26)  # a quarter of a period each way
            measured = (back[0, near] @ tone[near]) / (tone[near] @ tone[near])
            assert abs(float(measured) - gain) < 0.0101, sample

    def test_loudness_enters_as_a_power(self, rng):
        sound = torch.from_numpy(rng.standard_normal(6000))
        louder = spectrum.analyse(3.7 * sound, self.config)
        torch.testing.assert_close(louder, 3.7**0.65 * spectrum.analyse(sound, self.config))

    def test_silence_has_gradients(self):
        sound = torch.zeros(4096, requires_grad=True)
        spectrum.synthesise(spectrum.analyse(sound, self.config), self.config).sum().backward()
        assert torch.isfinite(sound.grad).all()


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


@pytest.fixture(scope="module")
def public(reference):
    """Networks of the public size for each bottleneck, their weights built by the rule of the reference."""
    state = {}
    for line in reference["keys"].astype(str):
        key, *shape = line.split()
        shape = tuple(map(int, shape))
        a = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(shape)
        if "activation_bottleneck" in key:
            a = np.full(shape, 0.06 if key.endswith("weight") else 0.0)
        elif a.ndim > 1 and not key.endswith("gain.scale"):
            a /= np.sqrt(np.prod(shape[1:]))
        else:
            a = 1 + 0.1 * a if key.endswith(("weight", "scale")) else 0.05 * a
        state[key] = torch.from_numpy(a.astype(np.float32))
    built = {}
    for bottleneck in ("layernorm", "tanh"):
        own = {key: value for key, value in state.items() if bottleneck == "layernorm" or "activation" not in key}
        config = CodecConfig.of(own)
        with torch.device("meta"):
            unet = UNet(config)
        unet.load_state_dict(own, strict=True, assign=True)
        built[bottleneck] = unet.eval(), config
    return built


@pytest.fixture(scope="module")
def encoded(public, reference):
    """Spectrogram and features of the reference sound; the bottlenecks share them."""
    unet, config = public["layernorm"]
    with _devices.inference():
        wav = torch.from_numpy(reference["wav"])
        used = wav[: config.n_latents(len(wav)) * config.samples_per_latent + config.overhang]
        x = spectrum.analyse(used, config)[None]
        return x, unet.encoder.features(x)


class TestReference:
    """The public size, random weights, float32 on a CPU: 1e-3 is asked for, 1e-4 is held."""

    def test_the_format(self, public):
        for bottleneck, n_keys, n_weights in (("layernorm", 585, 58_185_154), ("tanh", 583, 58_185_026)):
            unet, config = public[bottleneck]
            assert config == CodecConfig(bottleneck=bottleneck)
            assert len(unet.state_dict()) == n_keys
            assert sum(p.numel() for p in unet.parameters()) == n_weights
        unet = public["layernorm"][0]
        assert sum(p.numel() for p in unet.encoder.parameters()) == 16_261_696
        assert sum(p.numel() for p in unet.decoder.parameters()) == 17_286_464

    def test_spectrogram_and_features(self, encoded, reference):
        x, features = encoded
        np.testing.assert_allclose(x[0, :, ::16, :8].numpy(), reference["head"], rtol=0, atol=1e-5)
        means = features.mean(-1)[0, ::8].numpy()
        np.testing.assert_allclose(means, reference["features_mean"], rtol=0, atol=1e-4)

    @pytest.mark.parametrize("bottleneck", ["layernorm", "tanh"])
    def test_latents(self, public, encoded, reference, bottleneck):
        unet, config = public[bottleneck]
        with _devices.inference():
            z = (unet.encoder.narrow(encoded[1]) / config.scale)[0].numpy()
        expected = reference[f"{bottleneck}_latents"]
        assert z.shape == expected.shape == (64, 26)
        assert np.abs(z - expected).max() < 1e-4 * np.abs(expected).max()

    @pytest.mark.parametrize(
        ("bottleneck", "sigma"),
        [("layernorm", 80.0), ("layernorm", 1.0), pytest.param("tanh", 80.0, marks=pytest.mark.slow)],
    )
    def test_decoding(self, public, encoded, reference, bottleneck, sigma):
        unet, config = public[bottleneck]
        noise = torch.randn(1, 2, 1024, 64, generator=torch.Generator().manual_seed(0))
        x = 80 * noise if sigma == 80 else noise + encoded[0][..., :64]
        latents = config.scale * torch.from_numpy(reference[f"{bottleneck}_latents"][None, :, :8])
        with _devices.inference():
            clean = consistency.denoise(unet, x, torch.tensor([sigma]), unet.decoder(latents), config)
            sound = spectrum.synthesise(clean, config)[0, ::8].numpy()
        expected = reference[f"{bottleneck}_sigma{sigma:g}"]
        np.testing.assert_allclose(clean[0, :, ::32].numpy(), expected, rtol=0, atol=1e-4)
        if (bottleneck, sigma) == ("layernorm", 80):
            np.testing.assert_allclose(sound, reference["layernorm_waveform"], rtol=0, atol=1e-5)


class TestNetworks:
    def test_reach(self):
        """Latent j hears frames 8 j - 104 to 8 j + 104 through convolutions, and every one of them."""
        encoder = without_norms(networks(DEEP).encoder).double()
        x = spectrograms(DEEP, 40).double().requires_grad_()
        encoder(x)[0, :, 20].sum().backward()
        heard = x.grad.abs().sum((0, 1, 2)).nonzero()[:, 0]
        assert (heard.min(), heard.max(), len(heard)) == (160 - 104, 160 + 104, 209)

    def test_reach_of_decoding(self):
        """A decoded frame hears the noise of 144 frames each way, and 31 latents: no more than windows lend."""
        unet = without_norms(networks(DEEP)).double()
        z = torch.randn(1, 4, 90, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
        x = spectrograms(DEEP, 90).double().requires_grad_()
        sigma = torch.tensor([2.0], dtype=torch.float64)
        consistency.denoise(unet, x, sigma, unet.decoder(z), DEEP)[..., 360].sum().backward()
        latents = z.grad.abs().sum((0, 1)).nonzero()[:, 0] - 45
        frames = x.grad.abs().sum((0, 1, 2)).nonzero()[:, 0] - 360
        assert (latents.min(), latents.max(), frames.min(), frames.max()) == (-31, 30, -144, 144)
        assert _CONTEXT >= 31 and 8 * _CONTEXT >= 144

    def test_normalisation_hears_everything(self):
        x = spectrograms(DEEP, 40).requires_grad_()
        networks(DEEP).encoder(x)[0, :, 0].sum().backward()
        assert (x.grad.abs().sum((0, 1, 2)) > 0).all()

    @pytest.mark.parametrize(
        "config",
        [
            DEEP,
            CodecConfig(n_fft=64, hop=16, channels=(4, 8, 16), attention=(1,), heads=2, bottleneck_channels=8, dim=3,
                        embedding=4, encoder_blocks=2, unet_blocks=1, bottleneck_blocks=1, bottleneck="tanh"),
            CodecConfig(n_fft=32, hop=4, channels=(8,), frequency_only=0, attention=(), bottleneck_channels=8, dim=2,
                        embedding=6, bottleneck_blocks=0, bottleneck="identity"),
            CodecConfig(n_fft=128, hop=32, channels=(8, 8, 8), frequency_only=2, attention=(0, 2), heads=4,
                        bottleneck_channels=8, dim=2, embedding=6),
        ],
        ids=["deep", "shallow", "one level", "frequency only"],
    )  # fmt: skip
    def test_sizes(self, config):
        """Shapes of every part; the configuration comes back from the weights."""
        unet = networks(config)
        x = spectrograms(config, 5, n=2)
        with torch.inference_mode():
            features, z = unet.encoder.features(x), unet.encoder(x)
            clean = consistency.denoise(unet, x, torch.tensor([0.5, 9.0]), unet.decoder(z), config)
        assert features.shape == (2, config.flat, 5)
        assert z.shape == (2, config.dim, 5)
        assert clean.shape == x.shape
        settings = {"hop": config.hop, "heads": config.heads, "bottleneck": config.bottleneck}
        assert CodecConfig.of(unet.state_dict(), settings) == config
        assert CodecConfig.of(unet.state_dict(), config.settings()) == config

    def test_one_of_a_batch_is_one_alone(self):
        unet, x = networks(DEEP), spectrograms(DEEP, 6, n=3)
        sigma = torch.tensor([0.1, 3.0, 70.0])
        with torch.inference_mode():
            z = unet.encoder(x)
            clean = consistency.denoise(unet, x, sigma, unet.decoder(z), DEEP)
            for i in range(3):
                alone = unet.encoder(x[i : i + 1])
                torch.testing.assert_close(z[i : i + 1], alone, rtol=0, atol=1e-5)
                one = consistency.denoise(unet, x[i : i + 1], sigma[i : i + 1], unet.decoder(alone), DEEP)
                torch.testing.assert_close(clean[i : i + 1], one, rtol=0, atol=1e-4)

    @pytest.mark.parametrize(("bottleneck", "variance"), [("layernorm", 1.0), ("tanh", None), ("identity", None)])
    def test_what_bounds_latents(self, bottleneck, variance):
        config = CodecConfig(**{**DEEP.settings(), "bottleneck": bottleneck, "dim": 16})
        unet = UNet(config).eval()
        state = networks(config).state_dict()
        state = {key: 50 * value if key.startswith("encoder.conv_out") else value for key, value in state.items()}
        if bottleneck == "layernorm":
            state["encoder.activation_bottleneck.l.weight"] = torch.full((16,), 0.06)
            state["encoder.activation_bottleneck.l.bias"] = torch.zeros(16)
        unet.load_state_dict(state)
        with torch.inference_mode():
            z = unet.encoder(spectrograms(config, 7)) / config.scale
        if variance:
            torch.testing.assert_close(z.mean(1), torch.zeros(1, 7), rtol=0, atol=1e-5)
            torch.testing.assert_close(z.var(1, correction=0), torch.ones(1, 7), rtol=1e-3, atol=0)
        else:
            assert (float(z.abs().max()) <= 1 / 0.06 + 1e-4) == (bottleneck == "tanh")

    def test_gradients_reach_every_weight(self):
        """But the projections that nothing uses; and the encoder learns through the decoder alone."""
        unet = networks(DEEP).train()
        x = spectrograms(DEEP, 4, n=2)
        noisy = x + 2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
        pyramid = unet.decoder(unet.encoder(x))
        clean = consistency.denoise(unet, noisy, torch.full((2,), 2.0), pyramid, DEEP)
        (clean - x).square().mean().backward()
        still = {name for name, p in unet.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
        assert still == {
            f"decoder.bottleneck_layers.{i}.proj_emb.{kind}" for i in range(4) for kind in ("weight", "bias")
        }

    def test_sinusoids(self):
        """Sines before cosines, frequencies from 1 down to 1/10000."""
        ours = sinusoids(torch.tensor([0.0, 0.7]), 8)
        torch.testing.assert_close(ours[0], torch.tensor([0.0, 0, 0, 0, 1, 1, 1, 1]))
        angles = 0.7 * 10000 ** (-np.arange(4) / 3)
        np.testing.assert_allclose(ours[1], [*np.sin(angles), *np.cos(angles)], rtol=1e-5)


class TestConsistency:
    config = CodecConfig()

    def test_without_noise_nothing_changes(self):
        unet, x = networks(DEEP), spectrograms(DEEP, 3)
        with torch.inference_mode():
            pyramid = unet.decoder(torch.ones(1, 4, 3))
            clean = consistency.denoise(unet, x, torch.tensor([DEEP.sigma_min]), pyramid, DEEP)
        torch.testing.assert_close(clean, x, rtol=0, atol=0)

    def test_coefficients(self):
        """The formulas at sigma = 2.002, by hand; and what they are for: unit variance into the network."""
        skip, out, into = consistency.coefficients(torch.tensor(2.002, dtype=torch.float64), self.config)
        assert float(skip) == pytest.approx(0.25 / 4.25)
        assert float(out) == pytest.approx(0.5 * 2 / np.sqrt(2.002**2 + 0.25))
        assert float(into) ** 2 * (2.002**2 + 0.5**2) == pytest.approx(1)

    def test_schedule(self):
        positions = torch.linspace(0, 1, 11, dtype=torch.float64)
        sigmas = consistency.sigma_at(positions, self.config)
        assert sigmas[0] == pytest.approx(0.002) and sigmas[-1] == pytest.approx(80)
        np.testing.assert_allclose(np.diff(sigmas.numpy() ** (1 / 7)), (80 ** (1 / 7) - 0.002 ** (1 / 7)) / 10)

    @pytest.mark.parametrize("steps", [1, 4])
    def test_each_call_gets_the_noise_it_is_told(self, steps):
        """A denoiser that knows the answer: what it is given is the answer plus noise of the variance announced."""
        generator, seen = torch.Generator().manual_seed(0), []
        answer = torch.full((1, 2, 64, 400), 3.0)

        def denoised(x, sigma):
            seen.append((sigma, float((x - answer * (sigma < 80)).std())))
            return answer

        def draw():
            return torch.randn(answer.shape, generator=generator)

        assert torch.equal(consistency.sample(denoised, draw, steps, self.config), answer)
        expected = [consistency.sigma_at(i / steps, self.config) for i in range(steps, 0, -1)]
        assert [sigma for sigma, _ in seen] == expected
        for sigma, measured in seen:  # standard error of a standard deviation from 51200 numbers: .3 %
            assert measured == pytest.approx(np.sqrt(sigma**2 - 0.002**2), rel=0.02)

    def test_noise_grows_at_its_end(self):
        def drawn(n):
            return consistency.noise_of(n, DEEP, torch.Generator().manual_seed(5))

        assert drawn(9).shape == (1, 2, DEEP.n_bins, 9)
        assert torch.equal(drawn(30)[..., :9], drawn(9))
        assert not torch.equal(drawn(30)[..., 9:18], drawn(9))
        assert float(drawn(400).std()) == pytest.approx(1, abs=0.02)


class TestStreaming:
    @pytest.mark.parametrize("block", [1, 3, 7, 100])
    def test_blocks_make_the_whole(self, block):
        """Features of variance about 1, equal to 2e-5, wherever blocks begin and end, whatever the batch."""
        encoder, x = networks(DEEP).encoder, spectrograms(DEEP, 23)
        with torch.inference_mode():
            whole = encoder.features(x)
            for batch in (1, 4):
                streamed = streaming.features(encoder, x, DEEP, block=block, batch=batch)
                torch.testing.assert_close(streamed, whole, rtol=0, atol=2e-5)

    @pytest.mark.parametrize("frequency_only", [0, 1, 2])
    def test_any_arrangement_of_downsamplings(self, frequency_only):
        config = CodecConfig(**{**DEEP.settings(), "channels": (8, 8, 16), "attention": (1,),
                                "frequency_only": frequency_only, "encoder_blocks": 2})  # fmt: skip
        encoder, x = networks(config).encoder, spectrograms(config, 19)
        with torch.inference_mode():
            streamed = streaming.features(encoder, x, config, block=4)
            torch.testing.assert_close(streamed, encoder.features(x), rtol=0, atol=2e-5)

    def test_far_from_zero(self):
        """Variances are pooled, not made of differences of large sums."""
        encoder, x = networks(DEEP).encoder, 0.01 * spectrograms(DEEP, 16) + 30
        with torch.inference_mode():
            streamed = streaming.features(encoder, x, DEEP, block=5)
            torch.testing.assert_close(streamed, encoder.features(x), rtol=0, atol=2e-3)

    def test_memory_is_not_that_of_the_whole(self):
        """No layer is ever given more frames than a block and its reach."""
        encoder, longest = networks(DEEP).encoder, []
        for module in encoder.modules():
            if isinstance(module, (nn.Conv2d, Down)):
                module.register_forward_pre_hook(lambda _, args: longest.append(args[0].shape[-1]))
        with torch.inference_mode():
            streaming.features(encoder, spectrograms(DEEP, 50), DEEP, block=4)
        assert max(longest) <= 4 * 8 + 2 * 6


class TestDevices:
    def test_memory_that_runs_out_halves_the_batch(self):
        done = []

        def run(start, stop):
            if stop - start > 3:
                raise torch.OutOfMemoryError("too much")
            done.append((start, stop))
            return torch.arange(start, stop)

        parts = _devices.in_batches(run, 11, 8)
        assert torch.equal(torch.cat(parts), torch.arange(11))
        assert done[0] == (0, 2) and max(stop - start for start, stop in done) == 2

    def test_memory_that_does_not_suffice_for_one(self):
        def run(start, stop):
            raise torch.OutOfMemoryError("far too much")

        with pytest.raises(torch.OutOfMemoryError, match="far too much"):
            _devices.in_batches(run, 5, 4)

    def test_other_errors_pass(self):
        def run(start, stop):
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            _devices.in_batches(run, 5, 4)

    def test_precision_is_put_back(self):
        before = torch.backends.cudnn.conv.fp32_precision
        with pytest.raises(KeyError), _devices.inference():
            assert torch.backends.cudnn.conv.fp32_precision == "ieee"
            raise KeyError
        assert torch.backends.cudnn.conv.fp32_precision == before

    def test_which(self):
        assert _devices.resolve("cpu") == torch.device("cpu")
        assert _devices.resolve("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
        with pytest.raises(ValueError, match="device: expected 'auto', 'cpu', 'cuda' or 'cuda:1', got 'gpu'"):
            _devices.resolve("gpu")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
    def test_cuda_that_is_not_there(self):
        with pytest.raises(ValueError, match="torch finds no CUDA device. Use 'auto' or 'cpu'"):
            _devices.resolve("cuda")


class TestConfig:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"n_fft": 100, "hop": 30}, r"n_fft: expected a multiple of two hops \(60\), got 100"),
            ({"n_fft": 1056, "hop": 264}, "n_fft: expected a multiple of 64, so that every level"),
            ({"frequency_only": 5}, r"frequency_only: expected at most one per downsampling \(4\), got 5"),
            ({"channels": (64, 130), "attention": ()}, r"channels: expected multiples of 32 \(groups of 4\), got 130"),
            ({"heads": 3}, r"channels: expected multiples of heads \(3\), got 256"),
            ({"attention": (5,)}, r"attention: expected levels from 0 to 4, got \(5,\)"),
            ({"embedding": 5}, "embedding: expected an even number, got 5"),
            ({"bottleneck": "layer"}, "bottleneck: expected one of 'layernorm'.*Did you mean 'layernorm'"),
            ({"sigma_min": 90.0}, r"sigma_min: expected less than sigma_max \(80\), got 90"),
            ({"scale": 0.0}, "scale: expected a finite positive number"),
            ({"dim": 0}, "dim: expected at least 1, got 0"),
            ({"channels": (), "frequency_only": 0}, r"channels: expected at least one level, got \(\)"),
            ({"frequency_only": 10**6}, r"frequency_only: expected at most one per downsampling \(4\), got 1000000"),
        ],
    )
    def test_sizes_that_do_not_fit(self, given, message):
        with pytest.raises(ValueError, match=message):
            CodecConfig(**given)

    @pytest.mark.parametrize("causal", [1, "yes", None])
    def test_causal_is_yes_or_no(self, causal):
        with pytest.raises(TypeError, match=f"causal: expected True or False, got {causal!r}"):
            CodecConfig(causal=causal)

    def test_what_is_no_codec(self):
        with pytest.raises(ValueError, match="'encoder.gain.scale'.* so this is no codec in the Music2Latent format"):
            CodecConfig.of({"model.weight": torch.zeros(2)})

    def test_settings_against_shapes(self):
        state = networks(DEEP).state_dict()
        with pytest.raises(ValueError, match="settings: dim is 9, but the weights are of 4"):
            CodecConfig.of(state, {"dim": 9})
        with pytest.raises(ValueError, match="settings: bottleneck is 'tanh', but the weights are of 'layernorm'"):
            CodecConfig.of(state, {"bottleneck": "tanh"})
        with pytest.raises(ValueError, match="settings: 'sampling_rate' are not settings of a codec"):
            CodecConfig.of(state, {"sampling_rate": 1})
        bare = {key: value for key, value in state.items() if "activation" not in key}
        with pytest.raises(ValueError, match="'layernorm', but the weights hold no encoder.activation_bottleneck"):
            CodecConfig.of(bare, {"bottleneck": "layernorm"})
        assert CodecConfig.of(bare).bottleneck == "tanh"


def test_an_encoder_alone_is_enough_for_latents():
    """`Encoder` holds what `encoder.*` of a file names, nothing more."""
    state = networks(DEEP).state_dict()
    alone = Encoder(DEEP).eval()
    alone.load_state_dict({k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")})
    x = spectrograms(DEEP, 3)
    with torch.inference_mode():
        torch.testing.assert_close(alone(x), networks(DEEP).encoder(x), rtol=0, atol=1e-5)
