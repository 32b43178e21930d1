"""Prometheus' text format, read strictly, and what must hold of every scrape."""
import re

SAMPLE = re.compile(r'\A([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)\Z')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|\Z)')
WEIGHTS = {"uptime": 30, "coherence": 50, "thermal_balance": 20}


class Scrape(dict):
    """{(name, ((label, value), ...)): number}; labels in their order by name."""

    def __init__(self, text):
        super().__init__()
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            match = SAMPLE.match(line)
            assert match, line
            name, labels, value = match.groups()
            key = (name, tuple(sorted(LABEL.findall(labels or ""))))
            assert key not in self, f"twice: {line}"
            assert LABEL.sub("", labels or "") == "", line
            self[key] = float(value)

    def of(self, family, **labels):
        """The samples of a family (of a histogram: its buckets, sum and count) that have these labels."""
        want = set(labels.items())
        names = {family, family + "_bucket", family + "_sum", family + "_count"}
        return {key: value for key, value in self.items() if key[0] in names and want <= set(key[1])}

    def value(self, name, **labels):
        """The one number, or None."""
        found = [value for (key, has), value in self.items() if key == name and has == tuple(sorted(labels.items()))]
        return found[0] if found else None

    def judge(self):
        """What must hold in each: the Sentience Index is what its components say (docs/SENTIENCE_INDEX.md), to rounding; and a
        component that is absent adds nothing."""
        index = self.value("cherokee_sentience_index")
        parts = {part: self.value("cherokee_sentience_component", component=part) for part in WEIGHTS}
        if index is not None:
            reckoned = sum(weight * (parts[part] or 0) for part, weight in WEIGHTS.items())
            assert abs(index - reckoned) < 1e-6, (index, reckoned, parts)
        for value in parts.values():
            assert value is None or 0 <= value <= 1, parts
        return self
