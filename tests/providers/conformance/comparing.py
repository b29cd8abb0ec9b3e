"""Values are equal, and of the same types throughout."""

from qarchive.values import Array, Typed


def same(one, other, path="result"):
    """Equal, and of the same types throughout."""
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            same(one[key], other[key], f"{path}.{key}")
        assert vars(one) == vars(other) if hasattr(one, "__dict__") else True, path
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            same(a, b, f"{path}[{i}]")
    elif type(one).__module__ == "numpy" and hasattr(one, "dtype"):
        assert one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes(), path
    else:
        assert one == other, path


def same_data(found, wanted, name):
    """What `job.data()` gives has at least these values, whatever arrays they are kept as."""
    assert len(found) == len(wanted), name
    for one, other in zip(found, wanted, strict=True):
        for key, value in other.items():
            assert key in one, (name, key)
            assert _listed(one[key]) == _listed(value), (name, key)


def _listed(value):
    """Arrays, ours and numpy's, as lists, and what stands in lists, in dicts and under types."""
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    if isinstance(value, Typed):
        return _listed(value.value)
    value = value.numpy() if isinstance(value, Array) else value
    return value.tolist() if hasattr(value, "tolist") else value
