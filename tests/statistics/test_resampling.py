import numpy as np
import pytest

from mlops_assets.statistics.resampling import Blocks, block_length
from mlops_assets.statistics.standard_errors import error_of_mean


def autocorrelated(draw, rows, phi):
    noise = draw.normal(size=rows + 100)
    for row in range(1, len(noise)):
        noise[row] += phi * noise[row - 1]
    return noise[100:]


def test_blocks_are_as_long_as_rows_hang_together():
    draw = np.random.default_rng(0)
    lengths = [block_length(autocorrelated(draw, 5_000, phi)) for phi in (0.0, 0.5, 0.9)]
    assert lengths[0] <= 3 < lengths[1] < lengths[2] <= 3 * np.sqrt(5_000)
    # Politis & White: (2 G^2 / D)^(1/3) n^(1/3) with D = 4/3 g^2: G / g is 2 phi / (1 - phi^2)
    assert lengths[1] == pytest.approx((1.5 * (2 * 0.5 / (1 - 0.25)) ** 2) ** (1 / 3) * 5_000 ** (1 / 3), rel=0.4)
    assert block_length(np.ones(100)) == 1


@pytest.mark.parametrize(("rows", "block"), [(23, 5), (20, 5), (20, 1), (7, 7)])
def test_vectorised_means_and_weights_are_those_of_the_rows_drawn(rows, block):
    values = np.random.default_rng(0).normal(size=(rows, 2))
    blocks = Blocks(rows, block)
    starts = np.random.default_rng(3).integers(0, rows, size=(40, -(-rows // block)))
    drawn = [(start[:, None] + np.arange(block)).ravel()[:rows] % rows for start in starts]
    means = blocks.means(values, 40, seed=3)
    np.testing.assert_allclose(means, [values[index].mean(axis=0) for index in drawn])
    weights = np.concatenate(list(blocks.weights(40, seed=3)))
    np.testing.assert_array_equal(weights, [np.bincount(index, minlength=rows) for index in drawn])


def test_the_spread_of_the_block_bootstrap_is_known_without_drawing():
    values = autocorrelated(np.random.default_rng(1), 103, 0.7)
    for block in (1, 7, 10):
        blocks = Blocks(len(values), block)
        drawn = blocks.means(values[:, None], 20_000, seed=0)
        assert blocks.spread_of_mean(values) == pytest.approx(drawn.std(), rel=0.03)


def test_the_standard_error_is_that_of_many_repetitions():
    draw = np.random.default_rng(2)
    for phi, least, most in ((0.0, 0.95, 1.1), (0.3, 0.95, 1.2), (0.7, 0.95, 1.2)):
        series = [autocorrelated(draw, 400, phi) for _ in range(400)]
        truth = 1 / (1 - phi) / 400**0.5
        found = np.mean([error_of_mean(each)[0] ** 2 for each in series]) ** 0.5
        assert least <= found / truth <= most
    assert error_of_mean(draw.normal(size=400))[1] in (399, int(0.4 * 400 ** (2 / 3)))
    assert error_of_mean(np.ones(50)) == (0.0, 49)
