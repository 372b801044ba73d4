"""What tests of layout and of folding both ask of places."""

from itertools import pairwise


def overlaps(placed, sizes):
    """Pairs of boxes of one column that lie on each other."""
    found = []
    for at in range(len(placed.columns)):
        members = sorted((box for box in range(len(sizes)) if placed.rank[box] == at), key=lambda box: placed.y[box])
        for upper, lower in pairwise(members):
            if placed.y[upper] + sizes[upper].below > placed.y[lower] - sizes[lower].above:
                found.append((upper, lower))
    return found
