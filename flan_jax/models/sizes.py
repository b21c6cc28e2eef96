"""Few sizes for arrays whose content varies: each is a shape to compile, and at most a third of it is padding."""


def power_of_two(count: int) -> int:
    return 1 << (max(count, 1) - 1).bit_length()


def rounded(count: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, ...."""
    size = power_of_two(count)
    return size * 3 // 4 if size > 2 and count <= size * 3 // 4 else size


def padded(length: int, shortest: int) -> int:
    """The next of `shortest`, an even number, × 1, 1.5, 2, 3, 4, 6, ...."""
    return shortest // 2 * rounded(max(-(-2 * length // shortest), 2))
