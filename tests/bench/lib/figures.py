"""Percentiles and tables."""
import statistics


def quantile(values, q):
    """Nearest rank, as tribectl drill does: always a value that was measured."""
    ordered = sorted(values)
    rank = -int(-(q * len(ordered) - 1e-9) // 1)  # ceil
    return ordered[min(max(rank, 1), len(ordered)) - 1]


def spread(values):
    return {"n": len(values), "p50": quantile(values, 0.50), "p95": quantile(values, 0.95),
            "p99": quantile(values, 0.99), "max": max(values)}


def median_of_turns(turns, q=0.50):
    """Of each turn's quantile: one disturbed turn does not decide."""
    return statistics.median(quantile(turn, q) for turn in turns)


def table(head, rows, markdown=False):
    rows = [[str(cell) for cell in row] for row in rows]
    if markdown:
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join(lines)
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    form = lambda row: "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths)))
    return "\n".join([form(head)] + [form(row) for row in rows])


def ms(ns):
    return "%.3f" % (ns / 1e6)
