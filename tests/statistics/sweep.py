"""A sweep whose statistics were computed apart from the package, once: 4 strategies, 4 budgets, seeds 0 to 4."""

BUDGETS = (0.125, 0.25, 0.5, 1.0)  # MiB

_ROWS = {
    "icarl": ".512 .598 .655 .688 | .498 .607 .661 .692 | .525 .590 .648 .681 | .507 .601 .660 .695 | .519 .612 .652 .684",
    "memo": ".455 .571 .672 .731 | .470 .580 .669 .724 | .441 .575 .680 .735 | .462 .566 .671 .722 | .449 .584 .677 .729",
    "der": ".430 .569 .668 .733 | .452 .572 .675 .727 | .438 .577 .671 .730 | .441 .560 .679 .726 | .447 .581 .670 .734",
    "g-acil": " | ".join([".6 .6 .6 .6"] * 5),
}


def curves(name, seeds=5):
    """Return {seed: {budget: accuracy}}."""
    rows = [[float(v) for v in row.split()] for row in _ROWS[name].split("|")]
    return {seed: dict(zip(BUDGETS, rows[seed], strict=True)) for seed in range(seeds)}


def column(name, budget, seeds=5):
    """Return {seed: accuracy} at one budget."""
    return {seed: curve[budget] for seed, curve in curves(name, seeds).items()}


def strategies():
    return list(_ROWS)
