"""Rows of bench-takeover: what a kill was, what others met meanwhile. Pure."""
from figures import quantile, spread

COLUMNS = ("ns", "refused", "failed", "old_pid", "new_pid", "old_epoch", "new_epoch", "under_way", "others_answered", "others_refused",
           "others_failed", "others_reset", "old_ns", "old_how", "settled_us", "steady_ns")
ENDS = {1: "closed", 2: "reset"}


def named(row):
    return dict(zip(COLUMNS, row))


def summary(contender):
    """In ms. median: of the turns' p50, so that one disturbed turn does not decide; the rest of all kills together."""
    rows = [named(row) for turn in contender.turns for row in turn.rows]
    s = {name: ns / 1e6 if name != "n" else ns for name, ns in spread([row["ns"] for row in rows]).items()}
    s.update(title=contender.title, turns=[quantile(turn.ns, 0.50) / 1e6 for turn in contender.turns], median=contender.latency_ns() / 1e6,
             refused=sum(row["refused"] for row in rows), failed=sum(row["failed"] for row in rows))
    if "under_way" in rows[0]:
        s.update(under_way=quantile([row["under_way"] for row in rows], 0.50), last=rows[-1], settled=quantile([row["settled_us"] for row in rows], 0.50) / 1e3,
                 steady=quantile([row["steady_ns"] for row in rows], 0.50) / 1e6)
        s.update({name: sum(row[name] for row in rows) for name in COLUMNS if name.startswith("others_")})
    ended = [row for row in rows if row.get("old_how")]
    if ended:
        s["old"] = dict(spread([row["old_ns"] / 1e6 for row in ended]), how={word: sum(row["old_how"] == how for row in ended) for how, word in ENDS.items()})
    return s


def quicker(mine, peer, all_mine, all_peer):
    """How many times quicker than the peer: by p50, between neighbours in time; by p99, of all kills."""
    p99 = quantile(all_peer, 0.99) / quantile(all_mine, 0.99)
    return 1 / mine.ratio(peer, lambda turn: turn.p50()), p99
