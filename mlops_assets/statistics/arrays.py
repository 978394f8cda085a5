"""The types of arrays, for signatures."""

from typing import TypeAlias

from mlops_assets.lazy import np

Floats: TypeAlias = "np.typing.NDArray[np.float64]"
Integers: TypeAlias = "np.typing.NDArray[np.int64]"
Booleans: TypeAlias = "np.typing.NDArray[np.bool_]"
