"""When SQLite moves its write-ahead log into the database, watched from outside: the log's index is a file that everybody may
read (https://www.sqlite.org/walformat.html, "WAL-Index"). Nothing is locked, nothing is written."""
import os
import struct
import threading
import time

LOOK_S = 0.001
SIZE = 136  # two copies of the header, then what checkpoints say about themselves


def parse(image):
    """(pages in the log, pages moved, pages being moved, salt) of the index's first bytes; None when it is not in use. Pure."""
    if len(image) < SIZE or image[12] != 1:
        return None
    pages, = struct.unpack_from("=I", image, 16)
    salt = bytes(image[32:40])
    moved, = struct.unpack_from("=I", image, 96)
    tried, = struct.unpack_from("=I", image, 128)
    return pages, moved, tried, salt


class Story:
    """What a row of looks tells. Pure."""

    def __init__(self):
        self.checkpoints, self.turns, self.most_pages = [], 0, 0  # checkpoints: [begin ns, end ns, pages]
        self.begun, self.salt = None, None

    def look(self, now_ns, seen):
        if seen is None:
            return
        pages, moved, tried, salt = seen
        self.most_pages = max(self.most_pages, pages)
        self.turns += self.salt is not None and salt != self.salt
        self.salt = salt
        if tried > moved and self.begun is None:
            self.begun = (now_ns, moved)
        elif tried <= moved and self.begun is not None:
            self.checkpoints.append([self.begun[0], now_ns, max(0, moved - self.begun[1])])
            self.begun = None

    def overlaps(self, begin_ns, end_ns, slack_ns=2000000):
        """Was anything being moved between the two?"""
        return any(begin <= end_ns + slack_ns and end >= begin_ns - slack_ns for begin, end, _ in self.checkpoints)


class Watch:
    """with Watch(path of the database) as watch: ...; then watch.story"""

    def __init__(self, path):
        self.path, self.story, self.over = path + "-shm", Story(), threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        try:
            fd = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            over = False
            while not over:  # one more look when it is over: what had begun has ended by then
                over = self.over.is_set()
                self.story.look(time.monotonic_ns(), parse(os.pread(fd, SIZE, 0)))
                time.sleep(LOOK_S)
        finally:
            os.close(fd)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
