"""Plain, slow, explicit versions of what the engine does with moments."""

import numpy as np
from sklearn.linear_model import Ridge


def trials(rng, lengths=(333, 410, 512, 467, 390), n_features=3, n_channels=7, offset=2.0, noise=3.0):
    """Correlated features that do not average zero, and channels that follow them with delays."""
    mixing = rng.standard_normal((n_features, n_features)) + np.eye(n_features)
    kernels = rng.standard_normal((n_features, 4, n_channels))
    x, y = [], []
    for n in lengths:
        slow = np.cumsum(rng.standard_normal((n, n_features)), axis=0) / 5 + rng.standard_normal((n, n_features))
        features = slow @ mixing + offset * np.arange(1, n_features + 1)
        response = sum(np.roll(features, lag, axis=0) @ kernels[:, lag] for lag in range(4))
        x.append(features)
        y.append(response + noise * rng.standard_normal((n, n_channels)) + np.arange(n_channels) - 3)
    return x, y


def design(x, lags):
    """Zero-padded lagged design, feature by feature, lags fastest."""
    n_times, n_features = x.shape
    out = np.zeros((n_times, n_features, len(lags)))
    for i, lag in enumerate(lags):
        for t in range(max(lag, 0), min(n_times + lag, n_times)):
            out[t, :, i] = x[t - lag]
    return out.reshape(n_times, -1)


def ridge(designs, ys, alpha):
    """Weights (n_columns, n_channels) and intercept (n_channels,) of scikit-learn's ridge, `alpha` on the sum scale."""
    model = Ridge(alpha=alpha, solver="cholesky").fit(np.concatenate(designs), np.concatenate(ys))
    return model.coef_.T, model.intercept_


def correlations(prediction, y):
    return np.array([np.corrcoef(prediction[:, c], y[:, c])[0, 1] for c in range(y.shape[1])])
